import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Settings } from './server.ts'

/** What is used of `oidc-provider`, which has no types. */
interface ProviderModule {
  default: new (issuer: string, configuration: object) => { callback (): () => void }
}

const CLIENT = { id: 'magicstore', secret: 'the secret of a client' }

/** `oidc-provider` in this process, whose people have the group `staff`. It shows forms for sign-in and consent. */
export async function startRealProvider (t: Test, { publicUrl = 'http://localhost:5000' } = {}) {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  // It warns of each setting that is for development, and of Node.js 20.
  const { warn, info } = console
  Object.assign(console, { warn () {}, info () {} })
  t.teardown(() => Object.assign(console, { warn, info }))
  const name: string = 'oidc-provider'
  const { default: Provider } = await import(name) as ProviderModule
  const provider = new Provider(issuer, {
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [`${publicUrl}/oidc/callback`], token_endpoint_auth_method: 'client_secret_basic' }],
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: { profile: ['preferred_username', 'name'], groups: ['groups'] },
    findAccount: (_context: unknown, accountId: string) => ({
      accountId, claims: () => ({ sub: accountId, preferred_username: accountId, groups: ['staff'] })
    })
  })
  const answer = provider.callback() as unknown as RequestListener
  server.on('request', (request, response) => {
    const end = response.end.bind(response) as (body?: unknown) => typeof response
    // Its forms ask another machine for a font. The length stays.
    response.end = ((body?: unknown) => end(typeof body === 'string' ? body.replace(/@import url\(.*?\);/, font => ' '.repeat(font.length)) : body)) as typeof response.end
    answer(request, response)
  })
  return {
    issuer,
    settings: {
      OIDC_ISSUER: issuer, OIDC_CLIENT_ID: CLIENT.id, OIDC_CLIENT_SECRET: CLIENT.secret, OIDC_ALLOW: 'groups=staff', PUBLIC_URL: publicUrl
    } as Settings,

    /** Does what a person does in the browser. Returns the query with which it comes back. */
    async signIn (address: string, login: string): Promise<string> {
      const cookies = new Map<string, string>()
      let url = address
      let body: URLSearchParams | undefined
      for (let step = 0; step < 20; step++) {
        const headers = { cookie: Array.from(cookies, each => each.join('=')).join('; ') }
        const response = await fetch(url, { headers, redirect: 'manual', ...body && { method: 'POST', body } })
        for (const cookie of response.headers.getSetCookie()) {
          const [, key = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
          cookies.set(key, value)
        }
        const location = response.headers.get('location')
        const html = await response.text()
        body = undefined
        if (location !== null) {
          url = new URL(location, url).href
          if (url.startsWith(publicUrl)) return new URL(url).search.slice(1)
        } else {
          const [, prompt = ''] = /name="prompt" value="(\w+)"/.exec(html) ?? []
          if (prompt === '') throw new Error(`no form: ${response.status} ${html}`)
          body = new URLSearchParams({ prompt, login, password: 'any' })
        }
      }
      throw new Error('it does not come back')
    }
  }
}
