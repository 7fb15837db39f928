import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { allowNonConforming } from '../kit/conformance.ts'
import { startPostgres } from '../kit/postgres.ts'
import { credentials, openS3, type FakeS3, type Fault, type S3Request } from '../kit/s3.ts'
import { signUp, spawnServer, type Client, type ServerProcess } from '../kit/server.ts'
import { KIB, MIB } from '../kit/sizes.ts'
import { append, beginUpload, offsetOf } from '../kit/tus.ts'
import { createRandom, type Random } from '../kit/random.ts'

// Two servers, a bucket that answers with errors, cuts and wrong bytes, clients that lose their connections, and a
// server that is killed.

const UPLOADS = 24
const KILLS = 2
/** A client that is refused as often gives up: what fails is the server. */
const MAX_ATTEMPTS = 300
const FAULTS: readonly Fault[] = [{ status: 500, code: 'InternalError' }, { status: 503, code: 'SlowDown' }, 'reset', 'lost', 'cut', 'corrupt']

/**
 * 20 % of the requests go wrong, and 50 % of those that read: there are few. A server that starts is spared: it lists,
 * it writes a probe, and it reads an object that does not exist.
 */
function createFaults (random: Random, s3: FakeS3): (request: S3Request) => Fault | undefined {
  return ({ method, key }) => {
    if (key === '' || key.includes('installations/') || key.endsWith('probe')) return undefined
    const isRead = method === 'GET'
    if (isRead && !s3.objects().includes(key)) return undefined
    return random.chance(isRead ? 0.5 : 0.2) ? random.pick(isRead ? [...FAULTS, 'corrupt', 'corrupt'] : FAULTS) : undefined
  }
}

interface Appending { readonly path: string, readonly offset: number, readonly bytes: Buffer }

/** Sends bytes in a chunked body whose end never comes, and cuts the connection. */
async function cutAppend ({ port }: Client, token: string, { path, offset, bytes }: Appending): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) }
  const request = httpRequest({ host: '127.0.0.1', port, method: 'PATCH', path, agent: false, headers })
  request.on('error', () => {})
  request.write(bytes, () => setTimeout(() => request.destroy(), 50))
  await once(request, 'close')
}

async function startServers (t: Test) {
  const postgres = await startPostgres(t)
  const s3 = await openS3(t)
  const database = await postgres.newDatabase()
  const start = () => spawnServer(t, { DATABASE_URL: database, STORAGE_URL: s3.url(), BLOB_GRACE_SECONDS: '0', IDLE_SECONDS: '12', RATE_LIMIT_PER_MINUTE: '0', MAX_EVENT_LOOP_DELAY_MS: '0', ...credentials })
  const servers = await Promise.all([start(), start()]) as [ServerProcess, ServerProcess]
  return { s3, servers, start }
}

test('no acknowledged byte is lost by two servers, one of which is killed, with a bucket whose requests fail and whose bytes change on their way', async t => {
  const random = createRandom('faulty bucket')
  const { s3, servers, start } = await startServers(t)
  const { token } = await signUp(servers[0], 'ada')
  const files = Array.from({ length: UPLOADS }, (_, index) => ({ name: `file-${index}`, bytes: randomBytes(random.pick([3 * KIB, 100 * KIB, 6 * MIB, 13 * MIB])) }))
  const counts = {
    acknowledged: 0, wentBack: 0, wrong: 0, refused: new Map<string, number>(), faults: new Map<string, number>()
  }
  const count = <K>(all: Map<K, number>, key: K) => all.set(key, (all.get(key) ?? 0) + 1)
  const faults = createFaults(random, s3)
  s3.fault = request => {
    const fault = faults(request)
    if (fault !== undefined) count(counts.faults, `${request.method} ${typeof fault === 'string' ? fault : Object.values(fault)[0]}`)
    return fault
  }
  const anyServer = () => random.pick(servers)

  /** Wrong bytes from the bucket are answered 500 by each request that needs them. */
  async function begin (name: string, length: number): Promise<string> {
    const path = await beginUpload(anyServer(), token, { name, length })
    for (const method of ['HEAD', 'PATCH']) allowNonConforming(method, path)
    return path
  }

  /** Sends some of the bytes that are missing, and counts the refusal; or cuts the connection. */
  async function appendSome (path: string, offset: number, rest: Buffer): Promise<void> {
    const isCut = random.chance(0.3)
    const bytes = rest.subarray(0, random.chance(0.5) ? rest.length : rest.length >> 1)
    if (isCut) return cutAppend(anyServer(), token, { path, offset, bytes })
    const answer = await append(anyServer(), token, { path, offset, bytes })
    if (answer.status !== 204) count(counts.refused, answer.json.code)
  }

  /** Returns when the server that was asked has told that all bytes are there. */
  async function upload ({ name, bytes }: { name: string, bytes: Buffer }): Promise<void> {
    let path: string | undefined
    let acknowledged = 0
    for (let attempt = 0; attempt < MAX_ATTEMPTS && counts.wentBack === 0; attempt++) {
      try {
        path ??= await begin(name, bytes.length)
        const offset = await offsetOf(anyServer(), token, path)
        if (offset < acknowledged) counts.wentBack++
        acknowledged = Math.max(acknowledged, offset)
        if (offset === bytes.length) {
          counts.acknowledged++
          return
        }
        await appendSome(path, offset, bytes.subarray(offset))
      } catch {
        // The server was killed, or the bucket failed: a client tries again.
        count(counts.refused, 'failed')
        await wait(100)
      }
    }
  }

  async function kill (): Promise<void> {
    await servers[1].end('SIGKILL')
    servers[1] = await start()
  }

  let kills = 0
  await Promise.all(files.map(async file => {
    await upload(file)
    // The others go on meanwhile.
    if (kills < KILLS && counts.acknowledged > UPLOADS / 4 * (kills + 1)) {
      kills++
      await kill()
    }
  }))
  s3.fault = () => undefined
  for (const { name, bytes } of files) {
    const file = await servers[0].send('GET', `/uploads/${name}`, { token, isBroken: true }).catch(() => undefined)
    if (file?.status !== 200 || !file.bytes.equals(bytes)) counts.wrong++
  }
  t.comment(JSON.stringify(counts, (_, value: unknown) => value instanceof Map ? Object.fromEntries(value) : value))
  t.match(counts, { acknowledged: UPLOADS, wrong: 0, wentBack: 0 })
  t.notOk(counts.refused.has('internal_error'))
  t.equal(kills, KILLS)
})
