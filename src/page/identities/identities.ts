import { bodyOf, createMagicStore, MagicStoreError, type Password } from 'magicstore'
import { PageError } from '../errors.ts'
import { withProof } from '../factors/proof.ts'
import { baseUrl } from '../folder.ts'
import { formatDuration } from '../format.ts'
import { texts } from '../later-texts.ts'
import { request } from '../requests.ts'
import { beginSession, keyHeaders } from '../session.ts'
import type { ProviderAnswer } from './other-window.ts'

export type Identity = Awaited<ReturnType<typeof loadIdentities>>[number]

/** An identity without an account, which may have one. */
export interface UnknownIdentity { readonly registration: string, readonly username: string | null }

const anonymous = createMagicStore({ baseUrl })

/**
 * Signs in with an identity. Returns what registers it, if it has no account but may have one.
 * @throws what `inWords` throws.
 */
export async function signInWithIdentity (body: ProviderAnswer): Promise<UnknownIdentity | undefined> {
  const headers = await keyHeaders()
  const answer = await inWords(async () => bodyOf(await anonymous.api.POST('/api/session/oidc', { body, headers })))
  if ('registration' in answer) return answer
  await beginSession(answer)
}

/** Creates an account for an identity, and signs in. @throws what `inWords` throws. */
export async function registerIdentity (body: { registration: string, username: string }): Promise<void> {
  const headers = await keyHeaders()
  const send = async () => bodyOf(await anonymous.api.POST('/api/session/oidc/registration', { body, headers }))
  await beginSession(await inWords(send))
}

export async function loadIdentities () {
  const { identities } = await request(api => api.GET('/api/identities'))
  return identities
}

export const beginConnection = () => inWords(() => request(api => api.POST('/api/identities/options')))

/** @throws what `inWords` and `withProof` throw. */
export async function connectIdentity (account: Password, body: ProviderAnswer): Promise<void> {
  await inWords(() => withProof(account, async ({ api }) => bodyOf(await api.POST('/api/identities', { body }))))
}

/** @throws what `withProof` throws. */
export async function removeIdentity (account: Password, id: number): Promise<void> {
  const init = { params: { path: { id } } }
  await withProof(account, async ({ api }) => bodyOf(await api.DELETE('/api/identities/{id}', init)))
}

export const beginConfirmation = () => inWords(() => request(api => api.POST('/api/identities/confirm/options')))

/** A code that stands for the password of an account that has none, once. @throws what `inWords` throws. */
export async function confirmWithIdentity (body: ProviderAnswer): Promise<string> {
  const { code } = await inWords(() => request(api => api.POST('/api/identities/confirm', { body })))
  return code
}

const words = texts.identities.refusals as { readonly [code: string]: string | undefined }

/** @throws PageError for what the page has better words than the server; else what the request throws. */
async function inWords<Result> (send: () => Promise<Result>): Promise<Result> {
  try {
    return await send()
  } catch (error) {
    const { code = '', retryAfterSeconds } = error instanceof MagicStoreError ? error : {}
    const text = words[code]
    if (text === undefined) throw error
    const wait = retryAfterSeconds === undefined ? '' : ` ${texts.retryAfter(formatDuration(retryAfterSeconds))}`
    throw new PageError(text + wait, { cause: error })
  }
}
