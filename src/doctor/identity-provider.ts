import type { Config } from '../config.ts'
import { readProviderMetadata } from '../identities/provider.ts'
import { fault, good, warning, type Diagnosis } from './diagnosis.ts'
import { diagnoseFailure, withDatabase } from './services.ts'

/** Whether people can sign in with the provider, and what it must know of this server. */
export async function checkIdentityProvider ({ identityProvider }: Config): Promise<Diagnosis> {
  if (identityProvider === undefined) return good('OIDC_ISSUER is not set')
  const { issuer, redirectUri } = identityProvider
  const registered = `the redirect URI to register there is ${redirectUri}`
  try {
    const metadata = await readProviderMetadata(identityProvider)
    const { id_token_signing_alg_values_supported: algorithms = ['RS256'] } = metadata
    if (algorithms.some(algorithm => /^(?:RS|PS|ES|Ed|ML)/.test(algorithm))) {
      return good(`${issuer} can be used; ${registered}`)
    }
    return fault(
      `${issuer} signs nothing with a key of its own, only with ${algorithms.join(', ').slice(0, 256)}; ${registered}`,
      'choose a signing key for this client at the provider'
    )
  } catch (error) {
    return fault(
      `${issuer}: ${(error as Error).message}; ${registered}`,
      'make the provider reachable from this machine, and set OIDC_ISSUER exactly to the issuer that it tells'
    )
  }
}

/** Whether every account can be opened: by its password, or by an identity of the provider. */
export async function checkAccounts (config: Config): Promise<Diagnosis> {
  return withDatabase(config, async ({ findUnopened }) => {
    const names = await findUnopened(config.identityProvider?.issuer ?? '')
    if (names.length === 0) return good('each account has a password, or an identity of the provider')
    return warning(
      `these have neither a password nor an identity of the provider: ${names.join(', ')}`,
      'run magicstore user reset NAME, which prints a link to set a password'
    )
  }).catch(diagnoseFailure)
}
