// HTTP tests again, on PostgreSQL and a folder. The contracts hold what a database or a store of bytes must do; these
// show that the server asks it for that. The proofs repeat more of them: ring.ts.

import './stores/postgres-folder.ts'
import '../files.test.ts'
import '../sweeper.test.ts'
