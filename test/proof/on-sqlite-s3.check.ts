// HTTP tests again, on SQLite and a bucket. The contracts hold what a database or a store of bytes must do; these
// show that the server asks it for that. The proofs repeat more of them: ring.ts.

import './stores/sqlite-s3.ts'
import '../sweeper.test.ts'
import '../trash.test.ts'
import '../uploads.test.ts'
// These leave unfinished uploads, which the files above would find.
import '../resumable.test.ts'
