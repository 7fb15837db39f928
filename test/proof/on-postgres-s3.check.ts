// HTTP tests again, on PostgreSQL and a bucket. The contracts hold what a database or a store of bytes must do; these
// show that the server asks it for that. The proofs repeat more of them: ring.ts.

import './stores/postgres-s3.ts'
import '../kept-quota.test.ts'
import '../session.test.ts'
import '../sweeper.test.ts'
import '../tokens.test.ts'
import '../trash.test.ts'
import '../uploads.test.ts'
// These leave unfinished uploads, which the files above would find.
import '../download.test.ts'
import '../resumable.test.ts'
