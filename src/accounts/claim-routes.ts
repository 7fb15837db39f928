import { Type } from '@sinclair/typebox'
import { oneTimeCodeOf } from '../http/caller.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { Routes } from '../http/services.ts'
import { codeSamples } from '../openapi/operation.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { originOf } from './network.ts'
import { NewClaim, User, userHeaders, userOf } from './schemas.ts'

/** Invitations and resets; no credentials required but the second factor of the account. */
export const claimRoutes: Routes = async (app, { claims, links, securityLog, config }) => {
  app.post('/api/account/claim', {
    onRequest: async request => refuseInsecurePassword(request, config),
    schema: {
      operationId: 'claimAccount',
      summary: 'Use an invitation or a reset link',
      description: 'The operator makes links to `/#claim=<secret>`. An invitation registers a user, also if registration is closed. A reset sets a new password and revokes all tokens of the account; with a second factor it needs a code in `One-Time-Code`, such as one of `confirmClaim` for a passkey, unless the link removes the factors. A link works once, within 24 hours; a refused request does not end it.',
      ...codeSamples(
        'curl -f -H "Content-Type: application/json" -d \'{"secret":"<secret>","username":"invited_user","password":"pwd"}\' http://127.0.0.1:5000/api/account/claim'
      ),
      tags: ['Account'],
      security: [{}, { oneTimeCode: [] }],
      body: Type.Ref(NewClaim),
      response: {
        201: { ...answer(User, 'The new user of an invitation.'), headers: userHeaders },
        204: noContent('The password is reset.'),
        ...problems([
          'malformed_json', 'username_invalid', 'username_taken', 'password_invalid', 'second_factor_required', 'second_factor_wrong',
          'tls_required', 'not_found', 'body_too_large', 'unsupported_media_type', 'too_many_codes', 'overloaded', 'storage_full'
        ])
      }
    }
  }, async (request, reply) => {
    const origin = originOf(request)
    const claim = { ...request.body, code: oneTimeCodeOf(request) }
    const { kind, account, hasRemovedFactors } = await claims.use(claim, origin)
    securityLog.record({ kind, account, ...origin })
    if (hasRemovedFactors) securityLog.record({ kind: 'factor_removed', account, ...origin })
    if (kind === 'password_reset') return reply.code(204).send()
    reply.code(201).header('location', links.to(request.raw, `/api/users/${account.id}`))
    return userOf(account)
  })
}
