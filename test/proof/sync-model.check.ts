import { testHistories } from '../sync/histories.ts'

// More of the histories of test/sync-model.test.ts.
testHistories('checked history')
