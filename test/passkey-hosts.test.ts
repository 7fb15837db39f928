import { request as httpsRequest } from 'node:https'
import t from 'tap'
import { Authenticator } from './kit/authenticator.ts'
import { claimSecret } from './kit/commands.ts'
import { authenticatorFor, newUser, refusal, registerPasskey, signInWith } from './kit/passkeys.ts'
import { signUp, startServer, startTls, type Client, type TlsServer } from './kit/server.ts'

/** Disables limits that are not under test. */
const unlimited = { REGISTRATIONS_PER_HOUR: '0', RATE_LIMIT_PER_MINUTE: '0' }

const operations = [
  ['POST', '/api/session/passkey/options'], ['POST', '/api/session/passkey'], ['POST', '/api/passkeys/options'],
  ['POST', '/api/passkeys'], ['POST', '/api/passkeys/confirm/options'], ['POST', '/api/passkeys/confirm']
] as const

t.test('passkeys belong to the host of PUBLIC_URL, which must be a name with TLS, or else to localhost', async t => {
  const hosts: Record<string, string | null> = {
    'https://files.example.org': 'files.example.org',
    'https://files.example.org:8443/store': 'files.example.org',
    'http://localhost:8080': 'localhost',
    'https://nas': 'nas',
    'http://files.example.org': null,
    'https://192.0.2.1': null,
    'https://[2001:db8::1]': null,
    'http://127.0.0.1:5000': null
  }
  const folder = t.testdir()
  for (const [PUBLIC_URL, host] of Object.entries(hosts)) {
    const server = await startServer(t, { ...unlimited, PUBLIC_URL, DATA_DIR: folder })
    t.match((await server.send('GET', '/')).json, { passkeyHost: host, secondFactor: 'optional' }, PUBLIC_URL)
    const page = await server.send('GET', '/', { headers: { accept: 'text/html' } })
    t.match(page.text, `data-passkey-host="${host ?? ''}"`, PUBLIC_URL)
    const options = await server.send('POST', '/api/session/passkey/options')
    t.match(options, host === null ? { status: 409, json: { code: 'passkeys_unavailable' } } : { status: 200, json: { rpId: host } }, PUBLIC_URL)
    if (PUBLIC_URL === 'http://127.0.0.1:5000') {
      const { user } = await signUp(server, 'ann')
      const phone = authenticatorFor(server)
      const attestation = phone.create({ rp: { id: 'localhost' }, user: { id: 'x', name: 'ann' }, challenge: 'x' })
      const assertion = phone.get({ rpId: 'localhost', challenge: 'x' })
      for (const [method, path] of operations) {
        const credential = path === '/api/passkeys' ? attestation : assertion
        const json = path.endsWith('options') ? undefined : { credential, ...(path === '/api/passkeys' && { name: 'my phone' }) }
        t.strictSame(refusal(await server.send(method, path, { user, json })), { status: 409, code: 'passkeys_unavailable' }, path)
      }
      const secret = await claimSecret(['reset', 'ann'], { DATA_DIR: folder })
      for (const [path, credential] of [['/options'], ['', assertion]] as const) {
        t.strictSame(refusal(await server.send('POST', `/api/account/claim/confirm${path}`, { json: { secret, credential } })), { status: 409, code: 'passkeys_unavailable' }, path)
      }
      t.equal((await server.send('DELETE', '/api/passkeys/1', { user })).status, 404, 'those of before can be deleted')
    }
    await server.close()
  }
})

/** A client of a server with TLS. */
function tlsClientOf ({ port, ca }: TlsServer): Client {
  const send: Client['send'] = (method, path, { user, json, headers } = {}) => new Promise((resolve, reject) => {
    const fields = {
      ...(user && { authorization: `Basic ${btoa(user.join(':'))}` }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...headers
    }
    const request = httpsRequest({ host: '127.0.0.1', port, method, path, ca, headers: fields, agent: false }, response => {
      response.toArray().then(chunks => {
        const text = Buffer.concat(chunks).toString()
        const { statusCode, headers, rawHeaders } = response
        const [status, bytes, json] = [Number(statusCode), Buffer.from(text), JSON.parse(text)]
        resolve({ status, headers, rawHeaders, bytes, text, json })
      }, reject)
    })
    request.once('error', reject).end(JSON.stringify(json))
  })
  return { port, url: `https://127.0.0.1:${port}`, send }
}

t.test('the origin is that of PUBLIC_URL, or localhost with the port of the server', async t => {
  const server = await startServer(t, { PUBLIC_URL: 'https://files.example.org/store', DATA_DIR: t.testdir() })
  const phone = new Authenticator('https://files.example.org')
  const { user } = await newUser(server, 'ann')
  await registerPasskey(server, user, phone)
  t.equal((await signInWith(server, phone)).status, 201)
  t.equal((await signInWith(server, phone, { clientData: { origin: `http://localhost:${server.port}` } })).status, 401)

  const withTls = await startTls(t)
  const client = tlsClientOf(withTls)
  await withTls.store.accounts.add({ username: 'ben', password: 'correct horse battery' })
  const key = new Authenticator(`https://localhost:${withTls.port}`)
  await registerPasskey(client, ['ben', 'correct horse battery'], key)
  const session = await signInWith(client, key)
  t.equal(session.status, 201)
  t.match(session.headers['set-cookie'], [/^__Host-magicstore_session=.*; Secure/])
  t.equal((await signInWith(client, key, { clientData: { origin: `http://localhost:${withTls.port}` } })).status, 401)
})
