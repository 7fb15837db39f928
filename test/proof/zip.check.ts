import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { bytesPath, folderPath } from '../kit/kept-account.ts'
import { execute } from '../kit/programs.ts'
import { credentials, openS3 } from '../kit/s3.ts'
import { signUp, spawnServer, type SendOptions, type ServerProcess, type Settings } from '../kit/server.ts'
import { GIB, isProof, KIB, MIB, sizes } from '../kit/sizes.ts'
import { runSql } from '../kit/stores.ts'
import { until } from '../kit/waiting.ts'

/** Reads a zip with Python, checks each checksum, and what Explorer does not accept of the names. */
const PYTHON = `
import json, re, sys, unicodedata, zipfile
zip = zipfile.ZipFile(sys.argv[1])
entries = zip.infolist()
device = re.compile(r'(con|prn|aux|nul|conin\\$|conout\\$|(com|lpt)[0-9\\u00b9\\u00b2\\u00b3])\\s*(\\.|$)', re.I)
def is_refused(segment):
    return (re.search(r'[<>:"|?*\\\\\\x00-\\x1f]', segment) is not None or device.match(segment) is not None
        or segment[-1:] in ('', '.', ' ') or len(segment.encode('utf-16-le')) > 510)
seen = {}
for entry in entries:
    key = unicodedata.normalize('NFC', entry.filename.rstrip('/')).casefold()
    seen[key] = seen.get(key, 0) + 1
print(json.dumps({
    'damaged': zip.testzip(),
    'files': sum(not entry.is_dir() for entry in entries),
    'folders': sum(entry.is_dir() for entry in entries),
    'bytes': sum(entry.file_size for entry in entries),
    'refused': [entry.filename for entry in entries if any(map(is_refused, entry.filename.rstrip('/').split('/')))],
    'twice': [key for key in seen if seen[key] > 1]
}))
`

interface Counts { readonly files: number, readonly folders: number, readonly bytes: number }

/** Opens a zip with other programs, each of which reads all of it. */
async function checkZip (t: Test, path: string, counts: Counts): Promise<void> {
  const { stdout } = await execute('unzip', ['-tqq', path])
  t.equal(stdout, '', 'unzip')
  const options = { maxBuffer: 64 * MIB }
  const python = await execute('python3', ['-c', PYTHON, path], options)
  t.strictSame(JSON.parse(python.stdout), { damaged: null, ...counts, refused: [], twice: [] }, 'Python')
}

function residentBytes ({ child }: ServerProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * KIB
}

/** Downloads a zip, to a file in which zeros take no space. Returns the memory of the server, each 4 MiB. */
async function download (t: Test, server: ServerProcess, token: string, path: string): Promise<number[]> {
  const headers = { authorization: `Bearer ${token}` }
  const request = httpRequest({ host: '127.0.0.1', port: server.port, path: '/api/zip', headers }).end()
  const [response] = await once(request, 'response')
  t.equal(response.statusCode, 200)
  const file = await open(path, 'w')
  const memory: number[] = []
  let position = 0
  let measured = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (!isZero(chunk)) await file.write(chunk, 0, chunk.length, position)
    position += chunk.length
    if (position - measured < 4 * MIB) continue
    memory.push(residentBytes(server))
    measured = position
  }
  await file.truncate(position)
  await file.close()
  t.equal(position, Number(response.headers['content-length']), 'the announced length')
  return memory
}

const zeros = Buffer.alloc(64 * KIB)

function isZero (chunk: Buffer): boolean {
  for (let start = 0; start < chunk.length; start += zeros.length) {
    const part = chunk.subarray(start, start + zeros.length)
    if (!part.equals(zeros.subarray(0, part.length))) return false
  }
  return true
}

/** So many bytes, none of which is zero. */
function * inChunks (size: number): Generator<Buffer> {
  const chunk = Buffer.alloc(MIB, 'bytes')
  for (let sent = 0; sent < size; sent += chunk.length) yield chunk
}

/** The memory of the second half of a download, beyond that of the first. */
function growthIn (memory: readonly number[]): number {
  const half = memory.length >> 1
  return Math.max(...memory.slice(half)) - Math.max(...memory.slice(0, half))
}

async function openServer (t: Test, settings: Settings = {}) {
  const server = await spawnServer(t, { DATA_DIR: join(t.testdir(), 'data'), RATE_LIMIT_PER_MINUTE: '0', LOG_LEVEL: 'error', ...settings })
  const { token } = await signUp(server, 'ann')
  const put = (name: string, body: NonNullable<SendOptions['body']>) => server.send('PUT', bytesPath(name), { token, body })
  return { server, token, put, dataDir: join(t.testdirName, 'data') }
}

/** The file with the bytes of a file. */
async function blobOf (dataDir: string, name: string): Promise<string> {
  await until(() => readdirSync(join(dataDir, 'incoming')).length === 0)
  const [row] = await runSql(dataDir, `SELECT blob_id AS id FROM files WHERE name = '${name}'`)
  const id = String(row?.id)
  return join(dataDir, 'blobs', id.slice(0, 2), id)
}

/** Names that no system of the others accepts, or that are one for some. */
const NAMES = ['a:b', 'a?b', 'A_B', 'CON', 'nul.txt', 'dot.', 'dot ', 'dot_', 'straße', 'STRASSE', 'é', 'É', '日本', '😀', 'ΣΑΣ', 'σας', 'x'.repeat(255), 'X'.repeat(255), '\u202etxt.exe']

t.test('a zip of many files is opened by other programs, and has names that Explorer accepts', async t => {
  const { server, token, put, dataDir } = await openServer(t)
  const [count, folders] = [sizes.zipFiles, 7]
  for (let index = 0; index < folders; index++) t.equal((await server.send('PUT', folderPath(`in ${index}`), { token })).status, 201)
  const bytes = randomBytes(1000)
  for (const name of NAMES) t.equal((await put(name, bytes)).status, 201, name)
  const columns = ['owner_id', 'size', 'type', 'sha256', 'created_at', 'updated_at', 'stored_at'].join()
  for (let number = 1; number <= count; number++) {
    const id = (number % 256).toString(16).padStart(2, '0') + number.toString(16).padStart(30, '0')
    mkdirSync(join(dataDir, 'blobs', id.slice(0, 2)), { recursive: true })
    writeFileSync(join(dataDir, 'blobs', id.slice(0, 2), id), bytes)
  }
  await runSql(dataDir, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
    INSERT INTO files (folder_id, name, blob_id, ${columns})
    SELECT (SELECT min(id) FROM folders) + n % ${folders}, 'file ' || n, printf('%02x%030x', n % 256, n), ${columns}
    FROM files, numbers WHERE name = 'é'`)
  const zip = join(t.testdirName, 'many.zip')
  await download(t, server, token, zip)
  const files = count + NAMES.length
  await checkZip(t, zip, { files, folders, bytes: files * bytes.length })
})

if (isProof) {
  t.test('a zip of more than 5 GiB is opened by other programs, and takes no memory', async t => {
    const { server, token, put, dataDir } = await openServer(t)
    const [large, medium] = [4.25 * GIB, 820 * MIB]
    for (const [name, size] of [['a', large], ['b', medium], ['c', 5]] as const) {
      t.equal((await put(name, Buffer.from('begin'))).status, 201)
      truncateSync(await blobOf(dataDir, name), size)
      await runSql(dataDir, `UPDATE files SET size = ${size} WHERE name = '${name}'`)
    }
    const zip = join(t.testdirName, 'large.zip')
    const growth = growthIn(await download(t, server, token, zip))
    t.ok(growth < 32 * MIB, `the memory grew by ${growth}`)
    await checkZip(t, zip, { files: 3, folders: 0, bytes: large + medium + 5 })
  })
}

t.test('a zip from a bucket is the same, and takes no memory', async t => {
  const s3 = await openS3(t)
  const { server, token, put } = await openServer(t, { STORAGE_URL: s3.url(), ...credentials })
  const [size, count] = [sizes.zipBucketBytes, 20]
  t.equal((await put('large', Readable.from(inChunks(size)))).status, 201)
  await Promise.all(Array.from({ length: count }, (_, index) => put(`in/${index}`, 'small')))
  const zip = join(t.testdirName, 'bucket.zip')
  const growth = growthIn(await download(t, server, token, zip))
  if (isProof) t.ok(growth < 48 * MIB, `the memory grew by ${growth}`)
  await checkZip(t, zip, { files: count + 1, folders: 1, bytes: size + count * 'small'.length })
})
