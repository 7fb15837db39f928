import { ConfigError } from '../problems.ts'
import { isPrivateUrl } from './loopback.ts'

/** Lets an identity in whose claim is this text, or a list that has it. */
export interface AllowedClaim { readonly claim: string, readonly value: string }

/** The provider whose identities sign people in (OpenID Connect Core 1.0). */
export interface IdentityProvider {
  /** Its issuer identifier, as a URL. */
  readonly issuer: string
  readonly clientId: string
  /** Undefined for a public client. */
  readonly clientSecret: string | undefined
  /** Whom it may sign in: all of its identities, or those with one of these claims. */
  readonly allowed: 'anyone' | readonly AllowedClaim[]
  /** As people know it. */
  readonly name: string
  readonly redirectUri: string
}

/** The settings that it is read from, and that it depends on. */
interface ProviderSettings {
  readonly OIDC_ISSUER: string
  readonly OIDC_CLIENT_ID?: string
  readonly OIDC_CLIENT_SECRET?: string
  readonly OIDC_ALLOW?: string
  readonly OIDC_NAME?: string
  readonly OIDC_SESSION_HOURS: number
  readonly OIDC_TOKEN_DAYS: number
  readonly WEB_PAGE: 'on' | 'off'
}

/** `registration` is the one in force. */
interface ProviderContext { readonly publicUrl: string | undefined, readonly registration: string }

/** The hosts of Microsoft's clouds, and the names that stand for all of their tenants. */
const MICROSOFT = /(?:^|\.)(?:microsoftonline\.(?:com|us|de)|partner\.microsoftonline\.cn|windows\.net|microsoft\.com)$/
const ALL_TENANTS = new Set(['common', 'organizations', 'consumers'])

/** Providers at which everybody can have an identity; the last is Microsoft's tenant of personal accounts. */
const PUBLIC_PROVIDERS = [
  /^https:\/\/accounts\.google\.com\//,
  /^https:\/\/(?:appleid|account)\.apple\.com\//,
  /^https:\/\/gitlab\.com\//,
  /^https:\/\/login\.microsoftonline\.com\/9188040d-6c67-4c5b-b112-36a304b66dad\//i
]

const MAX_ISSUER_LENGTH = 1024

/** Put into HTML as it is. `$` has a meaning in replacements. */
const NAME = /^[^"&<>$\p{Cc}\p{Cs}]{1,64}$/u

/** @throws {ConfigError}. No message has a value that may be a secret. */
export function readIdentityProvider (
  settings: ProviderSettings, { publicUrl, registration }: ProviderContext
): IdentityProvider {
  const {
    OIDC_CLIENT_ID: clientId, OIDC_CLIENT_SECRET: clientSecret, OIDC_ALLOW: allow, OIDC_SESSION_HOURS: hours,
    OIDC_TOKEN_DAYS: days
  } = settings
  const issuer = issuerOf(settings.OIDC_ISSUER)
  if (clientId === undefined) throw missing('OIDC_CLIENT_ID')
  if (allow === undefined) throw missing('OIDC_ALLOW')
  if (publicUrl === undefined) throw missing('PUBLIC_URL')
  if (!isPrivateUrl(new URL(publicUrl))) throw new ConfigError('PUBLIC_URL must be https if OIDC_ISSUER is set')
  if (settings.WEB_PAGE === 'off') throw new ConfigError('WEB_PAGE must be on if OIDC_ISSUER is set')
  if (days * 24 < hours) throw new ConfigError('OIDC_TOKEN_DAYS: OIDC_SESSION_HOURS is longer')
  const allowed = allow.trim() === 'anyone' ? 'anyone' as const : allow.split(',').map(allowedClaim)
  const isPublic = PUBLIC_PROVIDERS.some(provider => provider.test(issuer.href))
  if (allowed === 'anyone' && registration === 'oidc' && isPublic) {
    throw new ConfigError('OIDC_ALLOW: everybody has an account at this provider', {
      remedy: 'name who may sign in, such as email=mum@example.org, or set REGISTRATION=closed'
    })
  }
  const name = (settings.OIDC_NAME ?? issuer.host).trim()
  if (!NAME.test(name)) {
    throw new ConfigError('OIDC_NAME: expected 1 to 64 characters, without " & < > $ and control characters')
  }
  return {
    issuer: issuer.href,
    clientId,
    clientSecret,
    allowed,
    name,
    redirectUri: `${publicUrl}/oidc/callback`
  }
}

function missing (name: string): ConfigError {
  return new ConfigError(`${name} must be set if OIDC_ISSUER is`)
}

function issuerOf (text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const hasUser = url !== undefined && url.username + url.password !== ''
  if (url === undefined || hasUser || /[?#]/.test(text) || text.length > MAX_ISSUER_LENGTH || !isPrivateUrl(url)) {
    const expected = 'an https address such as https://id.example.org/realms/main, without a user, a query or a #'
    throw new ConfigError(`OIDC_ISSUER: expected ${expected}`)
  }
  const [, tenant = ''] = url.pathname.toLowerCase().split('/')
  if (MICROSOFT.test(url.hostname) && ALL_TENANTS.has(tenant)) {
    throw new ConfigError(`OIDC_ISSUER: ${tenant} stands for many tenants of Microsoft, in which anybody can be`, {
      remedy: 'put the id of your tenant in its place'
    })
  }
  return url
}

/** `claim=value`; in the value, `%2C` is a comma and `%25` a percent sign. */
function allowedClaim (entry: string): AllowedClaim {
  const [, claim, encoded] = /^([^=\s]+)=(.+)$/.exec(entry.trim()) ?? []
  const value = encoded === undefined ? undefined : decode(encoded)
  if (claim === undefined || value === undefined) {
    throw new ConfigError('OIDC_ALLOW: expected anyone, or claims such as groups=staff,email=mum@example.org')
  }
  return { claim, value }
}

/** Undefined if a percent code is malformed. */
function decode (text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
