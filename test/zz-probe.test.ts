import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { test } from 'tap'
import { buildApp } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { openMagicStore } from '../src/magicstore.ts'
test('probe', async t => {
  const folder = t.testdir()
  const [cert, key] = [join(folder, 'a.crt'), join(folder, 'a.key')]
  await promisify(execFile)('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-out', cert, '-keyout', key])
  const store = await openMagicStore(readConfig({ LOG_LEVEL: 'silent', MIN_FREE_BYTES: '0', DATA_DIR: join(folder, 'data') }))
  const { http, connections } = await buildApp(store, { cert: await readFile(cert), key: await readFile(key) })
  t.teardown(async () => { connections.stop(); await http.close(); await store.close() })
  await http.listen({ host: '127.0.0.1', port: 0 })
  const { port } = http.server.address() as AddressInfo
  const main = connectHttp2(`https://127.0.0.1:${port}`, { ca: await readFile(cert) })
  t.teardown(() => main.destroy())
  const ask = async (headers: any, body = '') => { const q = main.request(headers, { endStream: false }); q.end(body); return Buffer.concat(await q.toArray()).toString() }
  console.error(await ask({ ':method': 'POST', ':path': '/api/users', 'content-type': 'application/json' }, JSON.stringify({ username: 'ann', password: 'pwd' })))
  const authorization = `Basic ${btoa('ann:pwd')}`
  const frame = (type: number, flags: number, id: number, payload: Buffer) => { const head = Buffer.alloc(9); head.writeUIntBE(payload.length, 0, 3); head[3] = type; head[4] = flags; head.writeUInt32BE(id, 5); return Buffer.concat([head, payload]) }
  const field = (name: string, value: string) => Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])
  for (const length of ['1000', undefined]) for (const code of [0, 1, 8, -1]) {
    const socket = connectTls({ host: '127.0.0.1', port, ca: await readFile(cert), ALPNProtocols: ['h2'] })
    socket.on('error', () => {}); socket.resume()
    const fields = { ':method': 'PUT', ':scheme': 'https', ':authority': 'a', ':path': `/uploads/raw-${code}-${length}`, authorization, ...(length && { 'content-length': length }) }
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0, Buffer.alloc(0)), frame(1, 4, 1, Buffer.concat(Object.entries(fields).map(([n, v]) => field(n, v!)))), frame(0, 0, 1, Buffer.from('0123456789'))]))
    await wait(300)
    if (code < 0) socket.destroy()
    else socket.write(frame(3, 0, 1, Buffer.from([0, 0, 0, code])))
    await wait(300)
    socket.destroy()
  }
  await wait(300)
  const payload = await ask({ ':method': 'GET', ':path': '/api/files', authorization })
  console.error(JSON.parse(payload).files.map((f: { name: string, size: number }) => [f.name, f.size]))
})
