import cookie from '@fastify/cookie'
import { Type } from '@sinclair/typebox'
import { networkOf } from '../accounts/network.ts'
import { callerOf, recordEvent } from '../http/caller.ts'
import type { Routes } from '../http/services.ts'
import { dateOf } from '../http/wire-values.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { passkeyOf, RecoveryCodes, SecondFactor, TotpCode, TotpResult, TotpSecret } from './schemas.ts'

/** Lists the second factors of the account; accepts any credential. */
export const readFactorRoutes: Routes = async (app, { metadata }) => {
  app.get('/api/second-factor', {
    schema: {
      operationId: 'getSecondFactor',
      summary: 'Get your second factors',
      description: 'Tells which second factors the account has. With one, the password alone is refused ' +
        'everywhere: send a code in `One-Time-Code` beside it. Tokens work as before.',
      curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/second-factor',
      response: { 200: answer(SecondFactor, 'The second factors.') }
    }
  }, async request => {
    const { totp, passkeys, recoveryCodes } = await metadata.factors.list(callerOf(request).account.id)
    return {
      totp: totp && { createdAt: dateOf(totp.createdAt) },
      passkeys: passkeys.map(passkeyOf),
      recoveryCodesLeft: recoveryCodes
    }
  })
}

/** Turn one-time codes on. A password is enough to set up the second factor that the server requires. */
export const setUpFactorRoutes: Routes = async (app, { factors, sessions, securityLog }) => {
  await app.register(cookie)

  app.post('/api/second-factor/totp', {
    schema: {
      operationId: 'createTotp',
      summary: 'Create a secret for one-time codes',
      description: 'Creates a secret for an authenticator app (RFC 6238: SHA-1, six digits, 30 seconds). It ' +
        'replaces nothing until `confirmTotp` turns it on, for which there are ten minutes.',
      curl: 'curl -f -u test_user:pwd -X POST http://127.0.0.1:5000/api/second-factor/totp',
      response: {
        200: answer(TotpSecret, 'The new secret.')
      }
    }
  }, async request => factors.beginTotp(callerOf(request).account))

  app.put('/api/second-factor/totp', {
    schema: {
      operationId: 'confirmTotp',
      summary: 'Turn on one-time codes',
      description: 'Turns on the secret that `createTotp` returned, in place of an earlier one, after a code of ' +
        'it. If it is the first second factor of the account, the response has recovery codes, and all sessions ' +
        'and access tokens end but personal access tokens, theirs, and the session in use: the one of the cookie ' +
        'and the key of the request, or `sessionId`. Identities of the account end, too.',
      curl: 'curl -f -u test_user:pwd -X PUT -H "Content-Type: application/json" -d \'{"code":"<code>"}\' ' +
        'http://127.0.0.1:5000/api/second-factor/totp',
      body: Type.Ref(TotpCode),
      response: {
        200: answer(TotpResult, 'One-time codes are on.'),
        ...problems(['second_factor_wrong', 'factor_not_pending'])
      }
    }
  }, async request => {
    const { code, sessionId = await sessions.findId(request) } = request.body
    const staying = { sessionId, network: networkOf(request.ip) }
    const recoveryCodes = await factors.confirmTotp(callerOf(request).account, code, staying)
    recordEvent(securityLog, request, 'factor_added')
    return { recoveryCodes }
  })
}

/** Routes that require the password, and a second factor if there is one. */
export const changeFactorRoutes: Routes = async (app, { factors, metadata, securityLog }) => {
  app.delete('/api/second-factor/totp', {
    schema: {
      operationId: 'deleteTotp',
      summary: 'Turn off one-time codes',
      description: 'Turns off one-time codes. With the last second factor the recovery codes end too.',
      curl: 'curl -f -u test_user:pwd -H "One-Time-Code: <code>" -X DELETE ' +
        'http://127.0.0.1:5000/api/second-factor/totp',
      response: {
        204: noContent('One-time codes are off.'),
        ...problems(['not_found'])
      }
    }
  }, async (request, reply) => {
    await metadata.factors.removeTotp(callerOf(request).account)
    recordEvent(securityLog, request, 'factor_removed')
    reply.code(204)
  })

  app.post('/api/second-factor/recovery-codes', {
    schema: {
      operationId: 'createRecoveryCodes',
      summary: 'Replace the recovery codes',
      description: 'Creates ten recovery codes; the earlier ones end.',
      curl: 'curl -f -u test_user:pwd -H "One-Time-Code: <code>" -X POST ' +
        'http://127.0.0.1:5000/api/second-factor/recovery-codes',
      response: {
        200: answer(RecoveryCodes, 'The new recovery codes.'),
        ...problems(['second_factor_missing'])
      }
    }
  }, async request => {
    const recoveryCodes = await factors.replaceRecoveryCodes(callerOf(request).account)
    recordEvent(securityLog, request, 'recovery_codes_replaced')
    return { recoveryCodes }
  })
}
