//! Payment channels inside Ark VTXOs.
