import { folder } from './folder.ts'

const {
  registration, links, linkMaxDays: maxDays, trash, passkeyHost: passkeys = '', oidc = '', oidcUrl = ''
} = document.documentElement.dataset

/** Whether anybody can create an account. */
export const isRegistrationOpen = registration === 'open'

/** Whether only an identity of the provider can. */
export const isRegistrationByProvider = registration === 'oidc'

/** Whether the operator allows links. */
export const hasLinks = links === 'on'

/** Longest lifetime of a link in days, and the default; 0: no limit. */
export const linkMaxDays = Number(maxDays)

/** Whether deleted files go to a trash. */
export const hasTrash = trash !== 'off'

/** The host that passkeys belong to; empty if the server can't have any. */
export const passkeyHost = passkeys

/** Name of the identity provider that people can sign in with; empty if there is none. */
export const providerName = oidc

/** The address of the page to which the provider sends people back. */
export const providerUrl = oidcUrl

export const isProviderHere = providerUrl === folder.href
