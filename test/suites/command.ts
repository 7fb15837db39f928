import '../config.test.ts'
import '../readme.test.ts'
import '../sync.test.ts'
import '../sync-model.test.ts'
