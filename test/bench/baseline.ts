/**
 * Servers that do the same work without MagicStore: node --import tsx test/bench/baseline.ts fastify|files|argon2 [folder]
 * Prints the port; `argon2` prints the number of hashes verified per second and exits.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import argon2 from 'argon2'
import Fastify from 'fastify'

const MIB = 1024 ** 2
const [kind, argument = ''] = process.argv.slice(2)

if (kind === 'fastify') await serveConstant()
else if (kind === 'files') await serveFiles(argument)
else await verifyRepeatedly(Number(argument))

async function serveConstant (): Promise<void> {
  const app = Fastify()
  app.get('/', async () => ({ data: 'Hello, test_user!' }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  console.log((app.server.address() as AddressInfo).port)
}

/** GET streams a file in reads of 1 MiB; PUT writes one in writes of 1 MiB, hashed and synced before the response. */
async function serveFiles (folder: string): Promise<void> {
  const server = createServer((request, response) => {
    void (request.method === 'GET' ? send(join(folder, String(request.url)), response) : receive(folder, request, response))
  })
  await listen(server)
}

async function send (file: string, response: ServerResponse): Promise<void> {
  const { size } = await stat(file)
  response.writeHead(200, { 'content-length': size })
  // The client of a bench closes its connections before the response is complete.
  await pipeline(createReadStream(file, { highWaterMark: MIB }), response).catch(() => {})
}

async function receive (folder: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const handle = await open(join(folder, randomUUID()), 'wx')
  const hash = createHash('sha256')
  let gathered: Buffer[] = []
  let length = 0
  let writing: Promise<unknown> = Promise.resolve()
  const flush = async () => {
    const batch = Buffer.concat(gathered)
    gathered = []
    length = 0
    await writing
    writing = handle.write(batch)
  }
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash.update(chunk)
    gathered.push(chunk)
    length += chunk.length
    if (length >= MIB) await flush()
  }
  await flush()
  await writing
  await handle.sync()
  await handle.close()
  const body = hash.digest('hex')
  response.writeHead(201, { 'content-length': body.length }).end(body)
}

async function listen (server: Server): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  console.log((server.address() as AddressInfo).port)
}

/** Eight loops, as with eight connections, using the server's parameters. */
async function verifyRepeatedly (seconds: number): Promise<void> {
  const parameters = { type: argon2.argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1 } as const
  const hash = await argon2.hash('correct horse battery', parameters)
  const began = performance.now()
  let count = 0
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (performance.now() - began < seconds * 1000) {
      await argon2.verify(hash, 'correct horse battery')
      count++
    }
  }))
  console.log(count / ((performance.now() - began) / 1000))
}
