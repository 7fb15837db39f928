import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { putSmall, signIn, SMALL, type Bench } from './cases.ts'
import { getRepeatedly, openRequester, repeat, type Target } from './load.ts'
import type { Comparison } from './report.ts'
import { measureBaseline, type Running } from './servers.ts'
import { bestOf, interleave, MICROSECONDS, rowsOf, speedOf, workOf, type Speed } from './speed.ts'

export const BOUNDARY = 'b'
export const formHeaders = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` }
export const beforeFile = (name: string) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`
export const afterFile = `\r\n--${BOUNDARY}--\r\n`

/** Deletes the baselines' uploads, whose names are UUIDs. */
export async function deleteUploads (folder: string): Promise<void> {
  for (const name of readdirSync(folder)) if (/^[0-9a-f-]{36}$/.test(name)) await rm(join(folder, name))
}

/** Requests of 16 connections, each with a new path. */
function sendRepeatedly (
  bench: Bench,
  server: Running,
  target: { method: string, headers?: Record<string, string>, next: () => { path: string, body?: Buffer } }
): Promise<Speed> {
  return speedOf(server, () => workOf(repeat(16, bench.seconds, () => openRequester({ port: server.port, ...target }))))
}

export async function compareSmall (bench: Bench): Promise<Comparison[]> {
  const { rounds, seconds, ours, files } = bench
  const headers = await signIn(bench)
  await putSmall(bench, headers)
  await writeFile(join(bench.folder, 'small'), SMALL)
  const put = (server: Running, folder: string, authorization = {}) => async () => {
    const speed = await sendRepeatedly(bench, server, { method: 'PUT', headers: authorization, next: () => ({ path: `${folder}/${randomUUID()}`, body: SMALL }) })
    await deleteUploads(bench.folder)
    return speed
  }
  const post = () => sendRepeatedly(bench, ours, { method: 'POST', headers: { ...headers, ...formHeaders }, next: () => ({ path: '/', body: Buffer.concat([Buffer.from(beforeFile(randomUUID())), SMALL, Buffer.from(afterFile)]) }) })
  const get = (server: Running, target: Omit<Target, 'port'>) => () => speedOf(server, () => workOf(getRepeatedly({ port: server.port, ...target }, { connections: 16, seconds })))
  const bareUpload = () => bestOf(put(files, '/piped'), put(files, '/batched'))
  const bareDownload = () => bestOf(get(files, { path: '/piped/small' }), get(files, { path: '/whole/small' }))
  const rate = { unit: '/s', least: 0.5 }
  const hashed = 'bare Node, hashed and synced'
  return [
    ...rowsOf({ work: '4 KiB uploads by PUT, 16 connections', against: hashed, rate, cpu: { ...MICROSECONDS, most: 1.4 } }, await interleave(rounds, put(ours, '/uploads', headers), bareUpload)),
    ...rowsOf({ work: '4 KiB uploads by form, 16 connections', against: hashed, rate, cpu: { ...MICROSECONDS, most: 1.8 } }, await interleave(rounds, post, bareUpload)),
    ...rowsOf({ work: '4 KiB downloads, 16 connections', against: 'bare Node', rate, cpu: { ...MICROSECONDS, most: 1.3 } }, await interleave(rounds, get(ours, { path: '/uploads/small', headers }), bareDownload))
  ]
}

const FEW_DELETES = 200

/** Deletes files of 4 KiB over 16 connections; resolves with the CPU milliseconds of one delete. */
async function deleteMany (bench: Bench, count: number): Promise<number> {
  const { ours } = bench
  const headers = await signIn(bench)
  const names = Array.from({ length: count }, () => randomUUID())
  const sendAll = async (method: string, body?: Buffer) => {
    const left = [...names]
    await Promise.all(Array.from({ length: 16 }, async () => {
      // For good: the baseline keeps nothing.
      const query = method === 'DELETE' ? '?permanent=true' : ''
      const next = () => ({ path: `/uploads/${left.pop()}${query}`, ...(body !== undefined && { body }) })
      const requester = await openRequester({ port: ours.port, method, headers, next })
      while (left.length > 0) await requester.send()
      requester.close()
    }))
  }
  await sendAll('PUT', SMALL)
  const { cpuSeconds } = await speedOf(ours, async () => {
    await sendAll('DELETE')
    return { units: count, seconds: 1 }
  })
  return cpuSeconds * 1000
}

/**
 * Many deletes first: before V8 has compiled and optimized the code, which takes tens of thousands, one takes up to
 * twice the CPU time.
 */
export async function compareDeletes (bench: Bench): Promise<Comparison[]> {
  const few = () => deleteMany(bench, FEW_DELETES)
  const byFew = await interleave(bench.rounds, () => deleteMany(bench, bench.deletes), few)
  const byBaseline = await interleave(bench.rounds, few, () => measureBaseline('deletes', bench.folder))
  return [
    { work: `CPU of one of ${FEW_DELETES} deletes, 16 connections`, against: 'unlink and a synced row', target: { most: 2 }, unit: 'ms', rounds: byBaseline },
    { work: `CPU of one of ${bench.deletes.toLocaleString('en')} deletes`, against: `one of ${FEW_DELETES}`, target: { most: 1.3 }, unit: 'ms', rounds: byFew }
  ]
}
