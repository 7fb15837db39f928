import cookie from '@fastify/cookie'
import { Type } from '@sinclair/typebox'
import { networkOf } from '../accounts/network.ts'
import { NewClaim } from '../accounts/schemas.ts'
import { callerOf, recordEvent } from '../http/caller.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { Routes } from '../http/services.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { NewSession, newSessionHeaders } from '../tokens/schemas.ts'
import { SESSION_PATH } from '../tokens/sessions.ts'
import {
  NewPasskey, PasskeyAssertion, PasskeyConfirmation, PasskeyCreationOptions, PasskeyParams, PasskeyRequestOptions,
  PasskeySignature, RegisteredPasskey
} from './passkey-schemas.ts'
import { passkeyOf } from './schemas.ts'

const CONFIRMATION = 'confirmation' as const

/** Register passkeys. A password is enough to set up the second factor that the server requires. */
export const setUpPasskeyRoutes: Routes = async (app, { passkeys, sessions, securityLog }) => {
  await app.register(cookie)

  app.post('/api/passkeys/options', {
    schema: {
      operationId: 'createPasskeyOptions',
      summary: 'Start to register a passkey',
      description: 'Returns what `navigator.credentials.create` needs, for `registerPasskey` within five minutes. ' +
        'Passkeys belong to one host: that of PUBLIC_URL, or `localhost`.',
      curl: 'curl -f -u test_user:pwd -X POST http://127.0.0.1:5000/api/passkeys/options',
      response: {
        200: answer(PasskeyCreationOptions, 'The options.'),
        ...problems(['passkeys_unavailable'])
      }
    }
  }, async request => passkeys.creationOptions(callerOf(request).account, request))

  app.post('/api/passkeys', {
    schema: {
      operationId: 'registerPasskey',
      summary: 'Register a passkey',
      description: 'Registers a passkey, of which an account has at most 20. It signs in without a password, and ' +
        '`confirmPasskey` uses it beside one. If it is the first second factor of the account, the response has ' +
        'recovery codes, and all sessions and access tokens end but personal access tokens, theirs, and the ' +
        'session in use: the one of the cookie and the key of the request, or `sessionId`. Identities of the account ' +
        'end, too.',
      curl: 'curl -f -u test_user:pwd -H "Content-Type: application/json" -d \'{"name":"my ' +
        'phone","credential":<credential>}\' http://127.0.0.1:5000/api/passkeys',
      body: Type.Ref(NewPasskey),
      response: {
        201: answer(RegisteredPasskey, 'The new passkey.'),
        ...problems(['passkey_invalid', 'too_many_passkeys', 'passkeys_unavailable'])
      }
    }
  }, async (request, reply) => {
    const { account } = callerOf(request)
    const { name, credential, sessionId = await sessions.findId(request) } = request.body
    const staying = { sessionId, network: networkOf(request.ip) }
    const { passkey, recoveryCodes } = await passkeys.add(account, { name, credential, staying }, request)
    recordEvent(securityLog, request, 'factor_added')
    reply.code(201)
    return { ...passkeyOf(passkey), recoveryCodes }
  })
}

/** Routes that require the password, and a second factor if there is one. */
export const changePasskeyRoutes: Routes = async (app, { metadata, securityLog }) => {
  app.delete('/api/passkeys/:id', {
    schema: {
      operationId: 'deletePasskey',
      summary: 'Delete a passkey',
      description: 'Deletes a passkey. With the last second factor the recovery codes end too.',
      curl: 'curl -f -u test_user:pwd -H "One-Time-Code: <code>" -X DELETE http://127.0.0.1:5000/api/passkeys/3',
      params: PasskeyParams,
      response: {
        204: noContent('The passkey is deleted.'),
        ...problems(['not_found'])
      }
    }
  }, async (request, reply) => {
    await metadata.factors.removePasskey(callerOf(request).account, request.params.id)
    recordEvent(securityLog, request, 'factor_removed')
    reply.code(204)
  })
}

/** Make a code of a passkey. A password is enough. */
export const confirmPasskeyRoutes: Routes = async (app, { passkeys }) => {
  app.post('/api/passkeys/confirm/options', {
    schema: {
      operationId: 'confirmPasskeyOptions',
      summary: 'Start to confirm with a passkey',
      description: 'Returns what `navigator.credentials.get` needs, for `confirmPasskey` within five minutes.',
      curl: 'curl -f -u test_user:pwd -X POST http://127.0.0.1:5000/api/passkeys/confirm/options',
      response: {
        200: answer(PasskeyRequestOptions, 'The options.'),
        ...problems(['passkeys_unavailable'])
      }
    }
  }, async request => passkeys.confirmationOptions(callerOf(request).account, request, CONFIRMATION))

  app.post('/api/passkeys/confirm', {
    schema: {
      operationId: 'confirmPasskey',
      summary: 'Confirm with a passkey',
      description: 'Returns a code for a passkey of the account. Send it in `One-Time-Code` beside the password: ' +
        'it works once, within five minutes.',
      curl: 'curl -f -u test_user:pwd -H "Content-Type: application/json" -d \'{"credential":<credential>}\' ' +
        'http://127.0.0.1:5000/api/passkeys/confirm',
      body: Type.Ref(PasskeySignature),
      response: {
        200: answer(PasskeyConfirmation, 'The code.'),
        ...problems(['passkey_refused', 'passkeys_unavailable', 'storage_full'])
      }
    }
  }, async request => {
    const { account } = callerOf(request)
    return { code: await passkeys.confirm(request.body.credential, { account, purpose: CONFIRMATION, request }) }
  })
}

/** Sign in with a passkey alone; no credentials required. */
export const passkeySignInRoutes: Routes = async (app, { passkeys, sessions }) => {
  await app.register(cookie)

  app.post(`${SESSION_PATH}/passkey/options`, {
    schema: {
      operationId: 'createPasskeySessionOptions',
      summary: 'Start to sign in with a passkey',
      description: 'Returns what `navigator.credentials.get` needs, for `createPasskeySession` within five minutes.',
      curl: 'curl -f -X POST http://127.0.0.1:5000/api/session/passkey/options',
      response: {
        200: answer(PasskeyRequestOptions, 'The options.'),
        ...problems(['passkeys_unavailable'])
      }
    }
  }, async request => passkeys.signInOptions(request))

  app.post(`${SESSION_PATH}/passkey`, {
    schema: {
      operationId: 'createPasskeySession',
      summary: 'Create a session with a passkey',
      description: 'For pages in a browser: `createSession` with a passkey in place of the password. Every passkey ' +
        'that does not sign its user in gets the same answer.',
      curl: 'curl -f -H "Content-Type: application/json" -d \'{"credential":<credential>}\' -c cookies.txt ' +
        'http://127.0.0.1:5000/api/session/passkey',
      body: Type.Ref(PasskeySignature),
      response: {
        201: { ...answer(NewSession, 'The new session.'), headers: newSessionHeaders },
        ...problems(['passkey_refused', 'credentials_wrong', 'passkeys_unavailable', 'too_many_tokens', 'storage_full'])
      }
    }
  }, async (request, reply) => {
    const account = await passkeys.signIn(request.body.credential, request)
    reply.code(201)
    return sessions.begin(request, reply, { account, factors: ['passkey'] })
  })
}

const CLAIM_PATH = '/api/account/claim/confirm'

const { secret } = NewClaim.properties

const claimRefusals = ['tls_required', 'not_found', 'passkeys_unavailable'] as const

/** Make a code of a passkey for a reset; no credentials required but its secret. */
export const claimPasskeyRoutes: Routes = async (app, { claims, passkeys, config }) => {
  app.addHook('onRequest', async request => refuseInsecurePassword(request, config))

  app.post(`${CLAIM_PATH}/options`, {
    schema: {
      operationId: 'confirmClaimOptions',
      summary: 'Start to confirm a reset with a passkey',
      description: 'Returns what `navigator.credentials.get` needs, for `confirmClaim` within five minutes. An ' +
        'invitation is answered as a link that does not exist.',
      curl: 'curl -f -H "Content-Type: application/json" -d \'{"secret":"<secret>"}\' ' +
        `http://127.0.0.1:5000${CLAIM_PATH}/options`,
      body: Type.Object({ secret }, { additionalProperties: false }),
      response: {
        200: answer(PasskeyRequestOptions, 'The options.'),
        ...problems([...claimRefusals])
      }
    }
  }, async request => {
    const { account, purpose } = await claims.findReset(request.body.secret)
    return passkeys.confirmationOptions(account, request, purpose)
  })

  app.post(CLAIM_PATH, {
    schema: {
      operationId: 'confirmClaim',
      summary: 'Confirm a reset with a passkey',
      description: 'Returns a code for a passkey of the account, which has signed the challenge of ' +
        '`confirmClaimOptions` for the same secret. Send it in `One-Time-Code` with `claimAccount`: it works once, ' +
        'within five minutes.',
      curl: 'curl -f -H "Content-Type: application/json" -d \'{"secret":"<secret>","credential":<credential>}\' ' +
        `http://127.0.0.1:5000${CLAIM_PATH}`,
      body: Type.Object({ secret, credential: Type.Ref(PasskeyAssertion) }, { additionalProperties: false }),
      response: {
        200: answer(PasskeyConfirmation, 'The code.'),
        ...problems([...claimRefusals, 'passkey_refused', 'storage_full'])
      }
    }
  }, async request => {
    const { account, purpose } = await claims.findReset(request.body.secret)
    return { code: await passkeys.confirm(request.body.credential, { account, purpose, request }) }
  })
}
