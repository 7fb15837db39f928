import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { test, type Test } from 'tap'
import { openS3Blobs } from '#src/blobs/s3/s3.ts'
import { suite as blobsSuite } from '../blobs.contract.ts'
import { SAVE_BYTES } from '../drafts.contract.ts'
import { MIB } from '../kit/sizes.ts'

// The contract of blobs on services that others wrote, as Debian's packages install them. The other tests use an S3 of
// their own. What is not installed is skipped, unless REQUIRE_SERVICES is set.

const DEBIAN_PYTHON = '/usr/bin/python3'
const BUCKET = 'files'
const REGION = 'eu-central-1'

// The AWS SDK reads its credentials from the environment.
Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test:tester', AWS_SECRET_ACCESS_KEY: 'secret', AWS_EC2_METADATA_DISABLED: 'true', AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' })

function hasModules (names: string): boolean {
  return spawnSync('env', ['-i', DEBIAN_PYTHON, '-c', `import ${names}`]).status === 0
}

/** For the option `skip`. */
function skipWithout (packages: string, isInstalled: boolean): false | string {
  return !isInstalled && process.env.REQUIRE_SERVICES !== '1' && `not installed: ${packages}`
}

/** Starts a service with an empty bucket, which ends with the test. */
async function startService (t: Test, name: string): Promise<string> {
  const child = spawn('env', ['-i', DEBIAN_PYTHON, fileURLToPath(new URL('s3-services.py', import.meta.url)), name, t.testdir()], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.stdin.end()
    await exited
  })
  const { value: port } = await createInterface(child.stdout)[Symbol.asyncIterator]().next()
  if (port === undefined) throw new Error(`${name} did not start`)
  const endpoint = `http://127.0.0.1:${port}`
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true })
  await client.send(
    new CreateBucketCommand({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: REGION } })
  )
  client.destroy()
  return endpoint
}

for (const { name, service, modules, packages } of [
  { name: 'moto', service: 'moto', modules: 'moto.server, flask_cors', packages: 'python3-moto, python3-flask-cors' },
  { name: 'Swift', service: 'swift', modules: 'swift.proxy.server, swift.obj.mem_server, swift.common.middleware.s3api.s3api', packages: 'python3-swift' }
]) {
  test(`the S3 of ${name} keeps the contract of blobs`, { skip: skipWithout(packages, hasModules(modules)) }, async t => {
    const endpoint = await startService(t, service)
    await t.test('contract', async t => blobsSuite(t, place => openS3Blobs({
      url: { bucket: BUCKET, prefix: `${basename(place)}/`, endpoint, region: REGION, isPathStyle: true },
      graceSeconds: 3600,
      // Swift deletes the objects of one request one by one.
      idleMilliseconds: 60_000,
      partMemoryBytes: 64 * MIB,
      saveBytes: SAVE_BYTES
    })))
  })
}
