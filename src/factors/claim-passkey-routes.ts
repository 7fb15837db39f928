import { Type } from '@sinclair/typebox'
import { originOf } from '../accounts/network.ts'
import { NewClaim } from '../accounts/schemas.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { Routes } from '../http/services.ts'
import { codeSamples, noCredential } from '../openapi/operation.ts'
import { answer, problems } from '../openapi/responses.ts'
import { PasskeyAssertion, PasskeyConfirmation, PasskeyRequestOptions } from './passkey-schemas.ts'
import { relyingPartyOf } from './relying-party.ts'

const PATH = '/api/account/claim/confirm'

const { secret } = NewClaim.properties

const refusals = [
  'malformed_json', 'body_too_large', 'unsupported_media_type', 'tls_required', 'not_found', 'passkeys_unavailable'
] as const

/** Make a code of a passkey for a reset; no credentials required but its secret. */
export const claimPasskeyRoutes: Routes = async (app, { claims, passkeys, config }) => {
  app.addHook('onRequest', async request => refuseInsecurePassword(request, config))

  app.post(`${PATH}/options`, {
    schema: {
      operationId: 'confirmClaimOptions',
      summary: 'Start to confirm a reset with a passkey',
      description: 'Returns what `navigator.credentials.get` needs, for `confirmClaim` within five minutes. An invitation is answered as a link that does not exist.',
      ...codeSamples(`curl -f -H "Content-Type: application/json" -d '{"secret":"<secret>"}' http://127.0.0.1:5000${PATH}/options`),
      tags: ['Account'],
      security: noCredential,
      body: Type.Object({ secret }, { additionalProperties: false }),
      response: {
        200: answer(PasskeyRequestOptions, 'The options.'),
        ...problems([...refusals])
      }
    }
  }, async request => {
    const { account, purpose } = await claims.findReset(request.body.secret)
    return passkeys.confirmationOptions(account, { party: relyingPartyOf(request.raw, config.publicUrl), purpose })
  })

  app.post(PATH, {
    schema: {
      operationId: 'confirmClaim',
      summary: 'Confirm a reset with a passkey',
      description: 'Returns a code for a passkey of the account, which has signed the challenge of `confirmClaimOptions` for the same secret. Send it in `One-Time-Code` with `claimAccount`: it works once, within five minutes.',
      ...codeSamples(`curl -f -H "Content-Type: application/json" -d '{"secret":"<secret>","credential":<credential>}' http://127.0.0.1:5000${PATH}`),
      tags: ['Account'],
      security: noCredential,
      body: Type.Object({ secret, credential: Type.Ref(PasskeyAssertion) }, { additionalProperties: false }),
      response: {
        200: answer(PasskeyConfirmation, 'The code.'),
        ...problems([...refusals, 'passkey_refused', 'storage_full'])
      }
    }
  }, async request => {
    const { account, purpose } = await claims.findReset(request.body.secret)
    const context = { party: relyingPartyOf(request.raw, config.publicUrl), origin: originOf(request), purpose }
    return { code: await passkeys.confirm(account, request.body.credential, context) }
  })
}
