import type { CDPSession, Page } from 'playwright-core'
import type { Test } from 'tap'
import { checkEvents, codeHeader, factorsOf, newUser } from '../../kit/passkeys.ts'
import { sharedServer, type Client } from '../../kit/server.ts'
import { browserTest, openTab } from '../browser.ts'

/** What the page got: an answer of the server, or the name of the exception of the browser. */
interface Outcome { status: number, body: any, error?: string }

/** A page of the server at `localhost`, and an authenticator of Chromium. */
async function openWithAuthenticator (t: Test, server: Client, { verifies = true, host = 'localhost' } = {}) {
  const { page } = await openTab(t)
  await page.goto(`http://${host}:${server.port}/`)
  const devices = await page.context().newCDPSession(page)
  await devices.send('WebAuthn.enable')
  const { authenticatorId } = await devices.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: verifies,
      isUserVerified: verifies,
      automaticPresenceSimulation: true
    }
  })
  return { page, devices, authenticatorId }
}

type Ceremony = 'create' | 'get'

interface Steps {
  ceremony: Ceremony
  /** The path of the options, and where the credential is sent. */
  paths: [options: string, credential: string]
  headers?: [forOptions: Record<string, string>, forCredential: Record<string, string>]
  body?: object
  /** Members of the options, in place of those of the server. */
  changes?: object
}

/** Asks for options, has the browser carry them out with its own functions for JSON, and sends what it returns. */
function perform (page: Page, steps: Steps): Promise<Outcome> {
  return page.evaluate(async ({ ceremony, paths: [asked, told], headers = [{}, {}], body = {}, changes = {} }) => {
    const options = await (await fetch(asked, { method: 'POST', headers: headers[0] })).json()
    const { PublicKeyCredential: parser } = window as any
    const json = { ...options, ...changes }
    try {
      const credential: any = ceremony === 'create'
        ? await navigator.credentials.create({ publicKey: parser.parseCreationOptionsFromJSON(json) })
        : await navigator.credentials.get({ publicKey: parser.parseRequestOptionsFromJSON(json) })
      const sent = JSON.stringify({ ...body, credential: credential.toJSON() })
      const type = { 'content-type': 'application/json' }
      const answer = await fetch(told, { method: 'POST', headers: { ...headers[1], ...type }, body: sent })
      return { status: answer.status, body: await answer.json() }
    } catch (error) {
      return { status: 0, body: undefined, error: (error as Error).name }
    }
  }, steps)
}

const basicOf = (user: [string, string], code?: string) => ({ authorization: `Basic ${btoa(user.join(':'))}`, ...codeHeader(code) })

const registration = (user: [string, string], codes: (string | undefined)[] = []): Steps => ({
  ceremony: 'create',
  paths: ['/api/passkeys/options', '/api/passkeys'],
  headers: [basicOf(user, codes[0]), basicOf(user, codes[1])],
  body: { name: 'this browser' }
})

const signIn: Steps = { ceremony: 'get', paths: ['/api/session/passkey/options', '/api/session/passkey'] }

const confirmation = (user: [string, string]): Steps => ({
  ceremony: 'get',
  paths: ['/api/passkeys/confirm/options', '/api/passkeys/confirm'],
  headers: [basicOf(user), basicOf(user)]
})

/** Sets the counter of the only passkey of an authenticator. */
async function setCounter (devices: CDPSession, authenticatorId: string, signCount: number): Promise<void> {
  const { credentials: [credential] } = await devices.send('WebAuthn.getCredentials', { authenticatorId })
  if (credential === undefined) throw new Error('the authenticator has no passkey')
  await devices.send('WebAuthn.clearCredentials', { authenticatorId })
  await devices.send('WebAuthn.addCredential', { authenticatorId, credential: { ...credential, signCount } })
}

browserTest('Chromium registers a passkey, signs in with it, and makes codes of it', async t => {
  const server = await sharedServer()
  const { user, token } = await newUser(server, 'by-browser')
  const { page, devices, authenticatorId } = await openWithAuthenticator(t, server)
  const registered = await perform(page, registration(user))
  t.match(registered, { status: 201, body: { name: 'this browser', lastUsedAt: null } })
  t.equal(registered.body.recoveryCodes.length, 10)
  t.match(await perform(page, signIn), { status: 201, body: { username: 'by-browser' } })
  t.equal((await page.context().cookies(`http://localhost:${server.port}/api/session`)).length, 1, 'the browser keeps the cookie')

  const codes: string[] = []
  for (let count = 0; count < 3; count++) {
    const { status, body } = await perform(page, confirmation(user))
    t.equal(status, 200)
    codes.push(body.code)
  }
  t.equal((await server.send('GET', '/api/resource', { user, headers: codeHeader(codes[0]) })).status, 200)
  t.match(await perform(page, registration(user, codes.slice(1))), { error: 'InvalidStateError' }, 'this authenticator has a passkey of the account')

  await setCounter(devices, authenticatorId, 0)
  t.match(await perform(page, signIn), { status: 401, body: { code: 'passkey_refused' } }, 'its counter went back')
  await setCounter(devices, authenticatorId, 100)
  t.match(await perform(page, signIn), { status: 201 })
  await checkEvents(t, server, token, { kind: 'passkey_refused', count: 1 })
})

browserTest('a passkey without a verified user opens nothing', async t => {
  const server = await sharedServer()
  const { user, token } = await newUser(server, 'unverified')
  const without = await openWithAuthenticator(t, server, { verifies: false })
  t.match(await perform(without.page, registration(user)), { error: 'NotAllowedError' }, 'the options ask for a verified user')
  const lax = { authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'discouraged' } }
  t.match(await perform(without.page, { ...registration(user), changes: lax }), { status: 400, body: { code: 'passkey_invalid' } }, 'and the server insists')
  t.strictSame(await factorsOf(server, token), { totp: null, passkeys: [], recoveryCodesLeft: 0 })

  const { page, devices, authenticatorId } = await openWithAuthenticator(t, server)
  t.match(await perform(page, registration(user)), { status: 201 })
  await devices.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
  t.match(await perform(page, signIn), { error: 'NotAllowedError' })
  const changes = { userVerification: 'discouraged' }
  t.match(await perform(page, { ...signIn, changes }), { status: 401, body: { code: 'passkey_refused' } })
  t.match(await perform(page, { ...confirmation(user), changes }), { status: 401, body: { code: 'passkey_refused' } })
  await devices.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true })
  t.match(await perform(page, signIn), { status: 201 })
})

browserTest('a page at an address has no passkeys', async t => {
  const server = await sharedServer()
  const { user } = await newUser(server, 'at-address')
  const { page } = await openWithAuthenticator(t, server, { host: '127.0.0.1' })
  t.match(await perform(page, registration(user)), { error: 'SecurityError' })
  t.match(await perform(page, signIn), { error: 'SecurityError' })
})
