/**
 * Mixed load on the built server for SOAK_MINUTES (20): node --import ts-blank-space/register test/bench/soak.ts
 * Prints memory, open handles and event loop delay each minute; exits with 1 if a response was unexpected.
 */
import { randomFillSync } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { sha256Of } from '../kit/digests.ts'
import { createRandom } from '../kit/random.ts'
import { KIB, MIB } from '../kit/sizes.ts'
import { openWorkbench, residentBytes, startMagicStore } from './servers.ts'

const WORKERS = 8
/** Pause between two requests of a worker: the load is steady and leaves some CPU idle. */
const PAUSE_MILLISECONDS = 20
const METRICS_PORT = 6190
const random = createRandom('soak')
const end = Date.now() + Number(process.env.SOAK_MINUTES ?? 20) * 60_000

const workbench = await openWorkbench()
await mkdir(join(workbench.folder, 'data'))
const server = await startMagicStore(join(workbench.folder, 'data', 'magicstore'), { METRICS_PORT: String(METRICS_PORT), TOKEN_SECONDS: '60' })
const counts = new Map<string, number>()
let wrong = 0

async function send (
  method: string, path: string, init: { headers: Record<string, string>, body?: BodyInit }
): Promise<Response> {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, ...init })
  const key = `${method} ${answer.status}`
  counts.set(key, (counts.get(key) ?? 0) + 1)
  return answer
}

function expect (isRight: boolean, what: string): void {
  if (isRight) return
  wrong++
  console.error(`not as expected: ${what}`)
}

async function work (index: number): Promise<void> {
  const user = `worker${index}:correct horse battery`
  await send('POST', '/api/users', { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: `worker${index}`, password: 'correct horse battery' }) })
  const digests = new Map<string, string>()
  let headers: Record<string, string> = {}
  for (let count = 0; Date.now() < end; count++) {
    if (count % 500 === 0) headers = { authorization: `Bearer ${(await (await send('GET', '/api/token', { headers: { authorization: `Basic ${btoa(user)}` } })).json()).token}` }
    const name = `file-${random.below(50)}`
    const known = digests.get(name)
    if (count % 5 === 0 && known !== undefined) {
      expect((await send('DELETE', `/uploads/${name}?permanent=true`, { headers })).status === 204, 'DELETE')
      digests.delete(name)
    } else if (count % 5 === 1) expect((await send('GET', '/api/files?limit=50', { headers })).status === 200, 'list')
    else if (count % 5 === 2 || known === undefined) {
      const body = randomFillSync(Buffer.alloc(random.chance(0.02) ? random.below(8 * MIB) : random.below(64 * KIB)))
      const isRight = [200, 201].includes((await send('PUT', `/uploads/${name}`, { headers, body })).status)
      expect(isRight, 'PUT')
      if (isRight) digests.set(name, sha256Of(body))
    } else {
      const answer = await send('GET', `/uploads/${name}`, { headers })
      const bytes = Buffer.from(await answer.arrayBuffer())
      expect(answer.status === 200 && sha256Of(bytes) === known, 'GET')
    }
    await wait(PAUSE_MILLISECONDS)
  }
}

async function report (): Promise<void> {
  const text = await (await fetch(`http://127.0.0.1:${METRICS_PORT}/metrics`)).text()
  const value = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1])
  const requests = Array.from(counts.values()).reduce((sum, count) => sum + count, 0)
  console.log([
    new Date().toISOString().slice(11, 19),
    `${requests} requests`,
    `resident ${(residentBytes(server.pid) / MIB).toFixed(0)} MiB`,
    `heap ${(value('nodejs_heap_size_used_bytes') / MIB).toFixed(0)} MiB`,
    `handles ${readdirSync(`/proc/${server.pid}/fd`).length}`,
    `loop p99 ${(value('nodejs_eventloop_lag_p99_seconds') * 1000).toFixed(1)} ms`,
    `wrong ${wrong}`
  ].join('  '))
}

await report()
const working = Promise.all(Array.from({ length: WORKERS }, (_, index) => work(index)))
while (Date.now() < end) {
  await wait(Math.min(60_000, Math.max(0, end - Date.now())))
  await report()
}
await working
await wait(5000)
await report()
console.log(Array.from(counts).sort().map(([key, count]) => `${key}: ${count}`).join(', '))
await server.stop()
await workbench.close()
process.exitCode = wrong === 0 ? 0 : 1
