/**
 * The S3 server of the tests in a process of its own: node --import ts-blank-space/register
 * test/bench/scale/s3-server.ts FOLDER. Prints its port.
 */
import { startS3 } from '../../kit/s3.ts'

const s3 = await startS3(String(process.argv[2]))
// The tests read the log; here it would only grow.
s3.log.push = () => 0
console.log(s3.port)

// Where the bench was killed nothing else ends it.
const parent = process.ppid
setInterval(() => { if (process.ppid !== parent) process.exit() }, 1000).unref()
