import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { startRealProvider } from '../kit/real-provider.ts'
import { startServer, type RunningServer, type Settings } from '../kit/server.ts'
import { freePort } from '../kit/wire.ts'

/** Steps with a provider, for tests of the page. */

export interface IdentityServer extends RunningServer {
  /** The address to which the provider sends people back. */
  readonly home: string
}

/** A server whose people have identities at a real provider, which calls itself `Example`. */
export async function startWithProvider (
  t: Test, settings: Settings = {}, start = (settings: Settings): Promise<RunningServer> => startServer(t, settings)
): Promise<IdentityServer> {
  const port = await freePort()
  const home = `http://localhost:${port}`
  const provider = await startRealProvider(t, { publicUrl: home })
  const unlimited = { RATE_LIMIT_PER_MINUTE: '0', REGISTRATIONS_PER_HOUR: '0', SIGN_IN_FAILURES: '1000' }
  const server = await start({ ...unlimited, ...provider.settings, OIDC_NAME: 'Example', PORT: String(port), ...settings })
  return { ...server, home }
}

/** Signs in at the provider, and lets it tell who that is. */
export async function signInAt (page: Page, login: string): Promise<void> {
  await page.getByPlaceholder('Enter any login').fill(login)
  await page.getByPlaceholder('and password').fill('any')
  await page.getByRole('button', { name: 'Sign-in' }).click()
  await page.getByRole('button', { name: 'Continue' }).click()
}

/** The window that a click opens. */
export async function windowOf (page: Page, click: () => Promise<void>): Promise<Page> {
  const [opened] = await Promise.all([page.waitForEvent('popup'), click()])
  return opened
}
