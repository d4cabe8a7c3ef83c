package org.virtualchannels.sample.keys

import android.system.ErrnoException
import android.system.Os
import android.system.OsConstants
import java.io.File
import java.io.IOException

/** Has the entries of a folder written to the disk, such as what a rename changed. (`FileChannel.open` needs API 26.) */
internal fun syncFolder(folder: File) {
    try {
        val opened = Os.open(folder.path, OsConstants.O_RDONLY, 0)
        try {
            Os.fsync(opened)
        } finally {
            Os.close(opened)
        }
    } catch (problem: ErrnoException) {
        throw IOException("$folder cannot be written to the disk", problem)
    }
}
