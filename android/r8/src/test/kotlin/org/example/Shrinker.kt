package org.example

import java.io.File
import java.net.URI
import java.nio.file.FileSystems
import java.nio.file.Files
import java.util.Properties
import java.util.jar.JarEntry
import java.util.jar.JarOutputStream
import java.util.zip.ZipFile
import proguard.Configuration
import proguard.ConfigurationParser
import proguard.ProGuard

/**
 * Shrinks, optimises and renames the app together with all it stands on, as an Android build does it.
 *
 * R8 itself is in Google's repository only; ProGuard reads the same rules. It is given those modules of the JVM that Android
 * has, too: desktop windows are missing here as they are there.
 */
class Shrinker(private val folder: File) {
    /** Makes one jar of the app; `rules` are the ones of our library. Without `optimise` it is shrunk and renamed only. */
    fun shrink(rules: String, optimise: Boolean): File {
        val jar = File(folder, "app.jar")
        val text = buildString {
            classPath().forEach { appendLine("-injars '$it'(!META-INF/**,!module-info.class,!**/*.dll,!**/*.a)") }
            appendLine("-outjars '$jar'")
            appendLine("-libraryjars '${platform()}'")
            appendLine("-keep class org.example.AppKt { public static void main(java.lang.String[]); }")
            // ProGuard's narrowing of types breaks kotlinx.coroutines on any JVM; R8 has nothing of the kind.
            appendLine(if (optimise) "-optimizations !method/specialization/**,!field/specialization/**" else "-dontoptimize")
            appendLine("-repackageclasses ''")
            appendLine("-allowaccessmodification")
            appendLine("-dontnote")
            // Android's own.
            appendLine("-dontwarn android.annotation.**")
            appendLine("-printmapping '${mapping()}'")
            classPath().forEach { append(rulesInside(it)) }
            appendLine(rules)
        }
        val configuration = Configuration()
        ConfigurationParser(text, "app", folder, Properties()).use { it.parse(configuration) }
        ProGuard(configuration).execute()
        return jar
    }

    /** Which name each class has got. */
    fun mapping() = File(folder, "mapping.txt")

    private fun platform(): File {
        val jar = File(folder, "platform.jar")
        if (jar.exists()) return jar
        val modules = FileSystems.getFileSystem(URI("jrt:/")).getPath("/modules")
        JarOutputStream(jar.outputStream()).use { out ->
            for (module in listOf("java.base", "java.logging").map(modules::resolve)) {
                Files.walk(module).use { paths ->
                    paths.filter { it.toString().endsWith(".class") && it.fileName.toString() != "module-info.class" }.forEach {
                        out.putNextEntry(JarEntry(module.relativize(it).toString()))
                        Files.copy(it, out)
                    }
                }
            }
        }
        return jar
    }

    companion object {
        /** What the app runs with: itself, the library, and what that one stands on. */
        fun classPath(): List<File> =
            listOf(
                "org.example.AppKt", "org.virtualchannels.Wallet", "com.sun.jna.Native", "kotlinx.coroutines.Job", "kotlin.Unit",
                "org.jetbrains.annotations.NotNull",
            ).map(::home)

        /** The folder or jar that a class is in. */
        private fun home(name: String): File {
            val path = name.replace('.', '/') + ".class"
            val found = Shrinker::class.java.classLoader.getResource(path).toString().removeSuffix(path)
            return File(URI(found.removePrefix("jar:").removeSuffix("!/")))
        }
    }

    /** The rules that a library brings along, as an Android build finds them. */
    private fun rulesInside(entry: File): String {
        if (!entry.isFile) return ""
        return ZipFile(entry).use { zip ->
            zip.entries().asSequence().filter { it.name.startsWith("META-INF/proguard/") && it.name.endsWith(".pro") }
                .joinToString("\n") { zip.getInputStream(it).reader().readText() + "\n" }
        }
    }
}
