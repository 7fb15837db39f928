import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { sharedServer, signUp, startServer, type Client, type RunningServer, type Settings } from '../kit/server.ts'
import { openTab, type TabOptions } from './browser.ts'
import type { PageVisit } from './page.ts'

/** Steps with links, for tests of both pages. */

export interface LinkServer extends RunningServer {
  readonly token: string
  readonly username: string
  put (name: string, content: string | Buffer, type?: string): Promise<void>
}

/** The server with links that stories share, and a new user of it. */
export async function startLinks (t: Test, settings: Settings = {}): Promise<LinkServer> {
  return ofUser(t, await sharedServer({ LINKS: 'on', ...settings }))
}

/** A server of its own with links, and its user `ann`. */
export async function startOwnLinks (t: Test, settings: Settings = {}): Promise<LinkServer> {
  return ofUser(t, await startServer(t, { LINKS: 'on', RATE_LIMIT_PER_MINUTE: '0', ...settings }), 'ann')
}

async function ofUser (t: Test, server: RunningServer, name?: string): Promise<LinkServer> {
  const { token, user: [username] } = await signUp(server, name)
  return {
    ...server,
    token,
    username,
    async put (name, body, type) {
      const headers = type === undefined ? {} : { 'content-type': type }
      const { status } = await server.send('PUT', `/uploads/${encodeURIComponent(name)}`, { token, body, headers })
      if (status !== 201) t.fail(`no ${name}: ${status}`)
    }
  }
}

interface GivenLink { readonly id: number, readonly url: string }

/** Creates a link for `name`. */
export async function giveAway (
  client: Client, token: string, link: { name: string, kind?: 'download' | 'upload' } & Record<string, unknown>
): Promise<GivenLink> {
  const { status, json } = await client.send('POST', '/api/links', { token, json: { kind: 'download', ...link } })
  if (status !== 201) throw new Error(`no link: ${status} ${JSON.stringify(json)}`)
  return json
}

/** The page of a link in a new browser, which has asked what the link gives. */
export async function openLink (t: Test, address: string, options: TabOptions = {}): Promise<PageVisit> {
  const tab = await openTab(t, { acceptDownloads: true, ...options })
  await tab.page.goto(address)
  if (options.javaScriptEnabled !== false) await heading(tab.page).filter({ hasNotText: 'Loading…' }).waitFor()
  return { ...tab, url: new URL(address).origin }
}

export const heading = (page: Page) => page.getByRole('heading', { level: 1 })
