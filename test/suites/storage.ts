// These look for what is left over on the servers that they share: a test file that leaves unfinished uploads, or rows
// without bytes, belongs elsewhere.

import '../copies.test.ts'
import '../deletions.test.ts'
import '../kept-quota.test.ts'
import '../kept.test.ts'
import '../locks.test.ts'
import '../sweeper.test.ts'
import '../trash.test.ts'
import '../uploads.test.ts'
