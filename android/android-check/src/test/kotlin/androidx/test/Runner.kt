package androidx.test.ext.junit.runners

import org.junit.runners.BlockJUnit4ClassRunner

/** JUnit's own in place of the one that runs on a phone. */
class AndroidJUnit4(test: Class<*>) : BlockJUnit4ClassRunner(test)
