/**
 * Servers that do the same work with Node alone: node --import ts-blank-space/register test/bench/baseline.ts
 * http|fastify|files|argon2|deletes [argument] A server prints its port. `argon2` prints the hashes verified per
 * second, `deletes` the CPU milliseconds of one delete.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, readFile, unlinkSync, writeFileSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import argon2 from 'argon2'
import Fastify from 'fastify'
import { Database } from '#src/metadata/sqlite/driver.ts'
import { MIB } from '../kit/sizes.ts'

const PASSWORD = 'correct horse battery'
/** The server's parameters. */
const HASHING = { type: argon2.argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1 } as const
const [kind, argument = ''] = process.argv.slice(2)

const kinds: Record<string, () => Promise<void>> = {
  http: serveHttp,
  fastify: serveFastify,
  files: () =>
    serve((request, response) => { answerFile(argument, request, response).catch(() => response.destroy()) }),
  argon2: verifyRepeatedly,
  deletes: deleteRepeatedly
}
await kinds[String(kind)]?.()

/**
 * The floor of any response with JSON: nothing is routed, checked or logged. At /api/token a password is verified, by
 * libuv's four threads as they come.
 */
async function serveHttp (): Promise<void> {
  const hash = await argon2.hash(PASSWORD, HASHING)
  await serve((request, response) => {
    if (request.url !== '/api/token') return respond(response, 200, { data: 'Hello, test_user!' })
    void argon2.verify(hash, PASSWORD).then(() => respond(response, 200, {}))
  })
}

function respond (response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text)
}

async function serve (listener: RequestListener): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  console.log((server.address() as AddressInfo).port)
}

async function serveFastify (): Promise<void> {
  const app = Fastify()
  app.get('/', async () => ({ data: 'Hello, test_user!' }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  console.log((app.server.address() as AddressInfo).port)
}

/** The first segment of the path says in which way, the second is the file's name. */
async function answerFile (folder: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, way, name = ''] = String(request.url).split('/')
  const file = join(folder, name)
  if (request.method === 'GET' && way === 'whole') return sendWhole(file, response)
  if (request.method === 'GET') return way === 'piped' ? sendPiped(file, response) : sendRead(file, response)
  respond(response, 201, { name, sha256: way === 'piped' ? await receivePiped(file, request) : await receiveBatched(file, request) })
}

/** What Node's documentation shows for a file: fair for large ones, whose bytes nothing else touches. */
async function sendPiped (file: string, response: ServerResponse): Promise<void> {
  const { size } = await stat(file)
  response.writeHead(200, { 'content-length': size })
  await pipeline(createReadStream(file), response)
}

/** Fewer and larger reads. */
async function sendRead (file: string, response: ServerResponse): Promise<void> {
  const { size } = await stat(file)
  response.writeHead(200, { 'content-length': size })
  await pipeline(createReadStream(file, { highWaterMark: MIB }), response)
}

/**
 * A small file at once, whose length is known then. With callbacks: promises and a `stat` before it took twice the CPU
 * time.
 */
function sendWhole (file: string, response: ServerResponse): void {
  readFile(file, (error, bytes) => {
    if (error !== null) return response.destroy()
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
  })
}

/**
 * The shortest program that hashes, writes and syncs: Node's own streams, whose file merges waiting chunks into one
 * `writev`.
 */
async function receivePiped (file: string, request: IncomingMessage): Promise<string> {
  const hash = createHash('sha256')
  request.on('data', (chunk: Buffer) => { hash.update(chunk) })
  await pipeline(request, createWriteStream(file, { flags: 'wx', highWaterMark: MIB, flush: true }))
  return hash.digest('hex')
}

/**
 * Without streams on the way to the disk: batches of one megabyte, one written while the next arrives. A small file is
 * one write.
 */
async function receiveBatched (file: string, request: IncomingMessage): Promise<string> {
  const handle = await open(file, 'wx')
  const hash = createHash('sha256')
  let batch: Buffer[] = []
  let length = 0
  let writing: Promise<unknown> = Promise.resolve()
  const flush = async () => {
    await writing
    writing = handle.writev(batch)
    batch = []
    length = 0
  }
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk)
    batch.push(chunk)
    length += chunk.length
    if (length >= MIB) await flush()
  }
  await flush()
  await writing
  await handle.datasync()
  await handle.close()
  return hash.digest('hex')
}

/** Eight loops, as with eight connections. */
async function verifyRepeatedly (): Promise<void> {
  const hash = await argon2.hash(PASSWORD, HASHING)
  const began = performance.now()
  let count = 0
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (performance.now() - began < Number(argument) * 1000) {
      await argon2.verify(hash, PASSWORD)
      count++
    }
  }))
  console.log(count / ((performance.now() - began) / 1000))
}

/** A file and its row, both gone for good before the next: what a delete can't do without. */
async function deleteRepeatedly (): Promise<void> {
  const count = 500
  const names = Array.from({ length: count }, () => randomUUID())
  const database = new Database(join(argument, 'rows.db'))
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY) STRICT')
  const insert = database.prepare('INSERT INTO files VALUES (?)')
  database.transaction(() => { for (const name of names) insert.run(name) })()
  for (const name of names) writeFileSync(join(argument, name), Buffer.alloc(4096, 'x'))
  const remove = database.prepare('DELETE FROM files WHERE name = ?')
  const before = process.cpuUsage()
  for (const name of names) {
    remove.run(name)
    unlinkSync(join(argument, name))
  }
  const { user, system } = process.cpuUsage(before)
  database.close()
  console.log((user + system) / 1000 / count)
}
