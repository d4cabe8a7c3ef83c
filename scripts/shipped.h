/* Included before all C code of a shipped library; see docs/adr/0008-size.md. */
#if defined(ECMULT_WINDOW_SIZE) && ECMULT_WINDOW_SIZE > 11
#undef ECMULT_WINDOW_SIZE
#define ECMULT_WINDOW_SIZE 11
#endif
