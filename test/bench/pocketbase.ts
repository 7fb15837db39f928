import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { openSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pLimit from 'p-limit'
import { execute } from '../kit/programs.ts'
import { GIB } from '../kit/sizes.ts'
import { putSmall, signIn, SMALL, type Bench } from './cases.ts'
import { download, getRepeatedly, openRequester, repeat, upload, type RequestTarget, type Target } from './load.ts'
import type { Comparison } from './report.ts'
import { stop, type Running } from './servers.ts'
import { afterFile, beforeFile, formHeaders } from './small.ts'
import { interleave, MICROSECONDS, MIB_PER_SECOND, PER_GIB, rowsOf, speedOf, workOf, type Speed } from './speed.ts'
import { inParallel } from './transfers.ts'

export const hasPocketBase = await execute('pocketbase', ['--version']).then(() => true, (error: { code?: unknown }) => error.code !== 'ENOENT')

const password = 'correct horse battery'
/** Deletes in one round. */
const DELETES = 500

const RECORDS = '/api/collections/files/records'

/** PocketBase 0.22 with a user, and a collection of protected files that every user may use. */
interface PocketBase extends Running {
  readonly headers: Record<string, string>
  /** Path of the user's record. */
  readonly account: string
  /**
   * Uploads a file. `record` is the path of its record; `createFilePath` returns a path to its bytes that is valid for
   * two minutes.
   */
  store (bytes: Uint8Array<ArrayBuffer>): Promise<{ record: string, createFilePath: () => Promise<string> }>
}

export async function startPocketBase (folder: string): Promise<PocketBase> {
  await mkdir(folder)
  const port = 6180 + process.pid % 100
  const admin = { identity: 'bench@example.org', password }
  await execute('pocketbase', ['migrate', 'up', '--dir', folder])
  await execute('pocketbase', ['admin', 'create', admin.identity, admin.password, '--dir', folder])
  const child = spawn('pocketbase', ['serve', '--http', `127.0.0.1:${port}`, '--dir', folder], { stdio: ['ignore', openSync(join(folder, 'log'), 'w'), 'inherit'] })
  const origin = `http://127.0.0.1:${port}`

  async function post (path: string, body: object | FormData, token = ''): Promise<any> {
    const isForm = body instanceof FormData
    const response = await fetch(origin + path, { method: 'POST', headers: { authorization: token, ...(!isForm && { 'content-type': 'application/json' }) }, body: isForm ? body : JSON.stringify(body) })
    if (!response.ok) throw new Error(`PocketBase answers ${path} with ${await response.text()}`)
    return response.json()
  }

  for (let tries = 0; tries < 100 && !await fetch(`${origin}/api/health`).then(() => true, () => false); tries++) await wait(50)
  const { token: ofAdmin } = await post('/api/admins/auth-with-password', admin)
  const rule = '@request.auth.id != ""'
  const rules = { listRule: rule, viewRule: rule, createRule: rule, updateRule: rule, deleteRule: rule }
  const field = { name: 'file', type: 'file', options: { maxSelect: 1, maxSize: 5 * GIB, protected: true } }
  await post('/api/collections', { name: 'files', type: 'base', schema: [field], ...rules }, ofAdmin)
  const { id } = await post('/api/collections/users/records', { username: 'bench', password, passwordConfirm: password }, ofAdmin)
  const { token } = await post('/api/collections/users/auth-with-password', { identity: 'bench', password })
  return {
    port,
    pid: Number(child.pid),
    stop: () => stop(child),
    headers: { Authorization: token },
    account: `/api/collections/users/records/${id}`,
    async store (bytes: Uint8Array<ArrayBuffer>) {
      const form = new FormData()
      form.set('file', new Blob([bytes]), 'file.bin')
      const { id, file } = await post(RECORDS, form, token)
      return { record: `${RECORDS}/${id}`, createFilePath: async () => `/api/files/files/${id}/${file}?token=${(await post('/api/files/token', {}, token)).token}` }
    }
  }
}

/** Every kind of work that both servers do. The targets are to be ahead. */
export async function comparePocketBase (bench: Bench): Promise<Comparison[]> {
  const { rounds, seconds, bytes, ours, folder } = bench
  if (!hasPocketBase) return []
  const theirs = await startPocketBase(join(folder, 'pocketbase'))
  const headers = await signIn(bench)
  await putSmall(bench, headers)
  const small = await theirs.store(SMALL)
  const limit = pLimit(16)
  const form = () => Buffer.concat([Buffer.from(beforeFile(randomUUID())), SMALL, Buffer.from(afterFile)])
  const get = (server: Running, target: Omit<Target, 'port'>, connections: number) => () => speedOf(server, () => workOf(getRepeatedly({ port: server.port, ...target }, { connections, seconds })))
  const send = (server: Running, target: Omit<RequestTarget, 'port'>) => () => speedOf(server, () => workOf(repeat(16, seconds, () => openRequester({ port: server.port, ...target }))))
  const remove = (server: Running, headers: Record<string, string>, paths: () => Promise<string[]>) => async () => {
    const left = await paths()
    const count = left.length
    return speedOf(server, async () => {
      const began = performance.now()
      await Promise.all(Array.from({ length: 16 }, async () => {
        const requester = await openRequester({ port: server.port, method: 'DELETE', headers, next: () => ({ path: String(left.pop()) }) })
        while (left.length > 0) await requester.send()
        requester.close()
      }))
      return { units: count, seconds: (performance.now() - began) / 1000 }
    })
  }
  const stored = (store: () => Promise<string>) =>
    () => Promise.all(Array.from({ length: DELETES }, () => limit(store)))
  const ourPaths = stored(async () => {
    const path = `/uploads/${randomUUID()}`
    await fetch(`http://127.0.0.1:${ours.port}${path}`, { method: 'PUT', headers, body: SMALL })
    // Permanent: PocketBase has no trash.
    return `${path}?permanent=true`
  })
  const theirPaths = stored(async () => (await theirs.store(SMALL)).record)
  const transfer = (server: Running, move: () => Promise<unknown>, streams: number) =>
    () => speedOf(server, () => inParallel(streams, bytes, move))
  const post = (server: Running, path: string, headers: Record<string, string>) => () => upload({ port: server.port, method: 'POST', path, headers: { ...headers, ...formHeaders } }, bytes, { before: beforeFile(randomUUID()), after: afterFile })

  async function compare (
    work: string,
    unit: typeof MICROSECONDS | typeof PER_GIB,
    measureOurs: () => Promise<Speed>,
    measureTheirs: () => Promise<Speed>
  ): Promise<Comparison[]> {
    const rate = unit === MICROSECONDS ? { unit: '/s' } : MIB_PER_SECOND
    return rowsOf({ work, against: 'PocketBase', rate: { ...rate, least: 1 }, cpu: { ...unit, most: 1 } }, await interleave(rounds, measureOurs, measureTheirs))
  }

  try {
    const comparisons = [
      ...await compare('small authenticated GET, 32 connections', MICROSECONDS, get(ours, { path: '/api/resource', headers }, 32), get(theirs, { path: theirs.account, headers: theirs.headers }, 32)),
      ...await compare('4 KiB uploads by form, 16 connections', MICROSECONDS, send(ours, { method: 'POST', headers: { ...headers, ...formHeaders }, next: () => ({ path: '/', body: form() }) }), send(theirs, { method: 'POST', headers: { ...theirs.headers, ...formHeaders }, next: () => ({ path: RECORDS, body: form() }) })),
      ...await compare('4 KiB downloads, 16 connections', MICROSECONDS, get(ours, { path: '/uploads/small', headers }, 16), async () => get(theirs, { path: await small.createFilePath() }, 16)()),
      ...await compare('deletes of 4 KiB, 16 connections', MICROSECONDS, remove(ours, headers, ourPaths), remove(theirs, theirs.headers, theirPaths))
    ]
    for (const streams of [1, 4]) {
      const stream = streams === 1 ? '1 stream' : `${streams} streams`
      await upload({ port: ours.port, method: 'PUT', path: '/uploads/large', headers }, bytes)
      const large = await theirs.store(Buffer.alloc(bytes, 'MagicStore '))
      comparisons.push(
        ...await compare(`upload 256 MiB by form, ${stream}`, PER_GIB, transfer(ours, post(ours, '/', headers), streams), transfer(theirs, post(theirs, RECORDS, theirs.headers), streams)),
        ...await compare(`download 256 MiB, ${stream}`, PER_GIB, transfer(ours, () => download({ port: ours.port, path: '/uploads/large', headers }, bytes), streams), transfer(theirs, async () => download({ port: theirs.port, path: await large.createFilePath() }, bytes), streams))
      )
    }
    return comparisons
  } finally {
    await theirs.stop()
  }
}
