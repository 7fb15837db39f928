import cookie from '@fastify/cookie'
import { Type } from '@sinclair/typebox'
import { callerOf, recordEvent } from '../http/caller.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { Routes } from '../http/services.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import type { FailureCode } from '../problems.ts'
import { NewSession, newSessionHeaders } from '../tokens/schemas.ts'
import { SESSION_PATH } from '../tokens/sessions.ts'
import {
  Identity, IdentityConfirmation, IdentityList, identityOf, IdentityParams, NewIdentityUser, ProviderAnswer,
  ProviderOptions, UnknownIdentity
} from './schemas.ts'

/** Longest query of a provider that the page gets; it is sent back to the server in the body of a request. */
const MAX_QUERY_LENGTH = 8192

const beginFailures: FailureCode[] = ['oidc_unavailable', 'provider_unavailable']

const answerFailures: FailureCode[] = [
  ...beginFailures, 'oidc_refused', 'identity_not_allowed', 'tls_required', 'too_many_sign_ins', 'overloaded',
  'storage_full'
]

const IDENTITY_CURL = '-H "Content-Type: application/json" -d \'{"flow":"<flow>","response":"<query>"}\''

/** The address to which the provider sends the browser, if there is one. */
export const callbackRoutes: Routes = async (app, { config }) => {
  if (config.identityProvider === undefined) return

  // The page is at `/`, because its addresses are relative. No server is sent the fragment.
  app.get('/oidc/callback', { schema: { hide: true } }, async ({ raw }, reply) => {
    const [, query = ''] = /\?([^]*)$/.exec(String(raw.url)) ?? []
    const fragment = encodeURIComponent(query.length <= MAX_QUERY_LENGTH ? query : '')
    return reply.header('referrer-policy', 'no-referrer').redirect(`${config.publicUrl}/#oidc=${fragment}`, 303)
  })
}

/** Sign in, or register, with an identity; no credentials required. */
export const identitySignInRoutes: Routes = async (app, { config, identities, sessions }) => {
  await app.register(cookie)
  app.addHook('onRequest', async request => refuseInsecurePassword(request, config))

  app.post(`${SESSION_PATH}/oidc/options`, {
    schema: {
      operationId: 'createIdentitySessionOptions',
      summary: 'Start to sign in with an identity provider',
      description: 'Returns the address at the identity provider, and what `createIdentitySession` needs within 30 ' +
        'minutes.',
      curl: 'curl -f -X POST http://127.0.0.1:5000/api/session/oidc/options',
      response: {
        200: answer(ProviderOptions, 'The options.'),
        ...problems([...beginFailures, 'tls_required'])
      }
    }
  }, async () => identities.begin('sign-in'))

  app.post(`${SESSION_PATH}/oidc`, {
    schema: {
      operationId: 'createIdentitySession',
      summary: 'Create a session with an identity',
      description: 'For pages in a browser: `createSession` with an identity in place of the password, for ' +
        'OIDC_SESSION_HOURS. An identity without an account gets what registers it, if it may register. `flow` works ' +
        'once, whatever the answer.',
      curl: `curl -f ${IDENTITY_CURL} -c cookies.txt http://127.0.0.1:5000/api/session/oidc`,
      body: Type.Ref(ProviderAnswer),
      response: {
        200: answer(UnknownIdentity, 'No account has the identity; `registerIdentity` makes one.'),
        201: { ...answer(NewSession, 'The new session.'), headers: newSessionHeaders },
        ...problems([...answerFailures, 'identity_unknown', 'credentials_wrong', 'too_many_tokens'])
      }
    }
  }, async (request, reply) => {
    const found = await identities.signIn(request.body, request)
    if ('unknown' in found) return found.unknown
    reply.code(201)
    return sessions.begin(request, reply, found.signedIn)
  })

  app.post(`${SESSION_PATH}/oidc/registration`, {
    schema: {
      operationId: 'registerIdentity',
      summary: 'Register a user with an identity',
      description: 'Creates an account without a password for an identity that `createIdentitySession` did not know, ' +
        'and a session of it.',
      curl: 'curl -f -H "Content-Type: application/json" -d \'{"registration":"<registration>","username":"ann"}\' ' +
        '-c cookies.txt http://127.0.0.1:5000/api/session/oidc/registration',
      body: Type.Ref(NewIdentityUser),
      response: {
        201: { ...answer(NewSession, 'The new session.'), headers: newSessionHeaders },
        ...problems([
          'username_invalid', 'username_taken', 'oidc_refused', 'credentials_wrong', 'registration_closed',
          'tls_required', 'oidc_unavailable', 'identity_taken', 'too_many_tokens', 'too_many_registrations',
          'storage_full'
        ])
      }
    }
  }, async (request, reply) => {
    const signedIn = await identities.register(request.body, request)
    reply.code(201)
    return sessions.begin(request, reply, signedIn)
  })
}

/** Lists the identities of the account; accepts any credential. */
export const readIdentityRoutes: Routes = async (app, { identities }) => {
  app.get('/api/identities', {
    schema: {
      operationId: 'listIdentities',
      summary: 'List your identities',
      description: 'Lists the identities that sign your account in.',
      curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/identities',
      response: { 200: answer(IdentityList, 'The identities.'), ...problems(['oidc_unavailable']) }
    }
  }, async request => ({ identities: (await identities.list(callerOf(request).account)).map(identityOf) }))
}

/** Go to the provider for an account, and confirm with an identity; need the scope `account`. */
export const confirmIdentityRoutes: Routes = async (app, { config, identities }) => {
  app.addHook('onRequest', async request => refuseInsecurePassword(request, config))

  app.post('/api/identities/options', {
    schema: {
      operationId: 'createIdentityOptions',
      summary: 'Start to connect an identity',
      description: 'Returns the address at the identity provider, and what `connectIdentity` needs within 30 minutes.',
      curl: 'curl -f -u test_user:pwd -X POST http://127.0.0.1:5000/api/identities/options',
      response: {
        200: answer(ProviderOptions, 'The options.'),
        ...problems(beginFailures)
      }
    }
  }, async request => identities.begin('connect', callerOf(request).account))

  app.post('/api/identities/confirm/options', {
    schema: {
      operationId: 'confirmIdentityOptions',
      summary: 'Start to confirm with an identity',
      description: 'For an account without a password. Returns the address at the identity provider, which asks for ' +
        'a recent sign-in, and what `confirmIdentity` needs within 30 minutes.',
      curl: 'curl -f -H "Authorization: Bearer <token>" -X POST http://127.0.0.1:5000/api/identities/confirm/options',
      response: {
        200: answer(ProviderOptions, 'The options.'),
        ...problems([...beginFailures, 'password_present'])
      }
    }
  }, async request => identities.beginConfirmation(callerOf(request).account))

  app.post('/api/identities/confirm', {
    schema: {
      operationId: 'confirmIdentity',
      summary: 'Confirm with an identity',
      description: 'Returns a code for an identity of the account, which has no password. Send it in `One-Time-Code` ' +
        'with your username and an empty password (HTTP Basic) to create a personal access token or to delete the ' +
        'account: it works once, within five minutes.',
      curl: `curl -f -H "Authorization: Bearer <token>" ${IDENTITY_CURL} http://127.0.0.1:5000/api/identities/confirm`,
      body: Type.Ref(ProviderAnswer),
      response: {
        200: answer(IdentityConfirmation, 'The code.'),
        ...problems([...answerFailures, 'password_present', 'credentials_wrong'])
      }
    }
  }, async request => ({ code: await identities.confirm(callerOf(request).account, request.body, request) }))
}

/** Routes that require the password, and a second factor if there is one. */
export const changeIdentityRoutes: Routes = async (app, { identities, securityLog }) => {
  app.post('/api/identities', {
    schema: {
      operationId: 'connectIdentity',
      summary: 'Connect an identity',
      description: 'Connects an identity, of which an account has at most five: it signs the account in without the ' +
        'password. A new password ends all of them, and so does the first second factor.',
      curl: `curl -f -u test_user:pwd ${IDENTITY_CURL} http://127.0.0.1:5000/api/identities`,
      body: Type.Ref(ProviderAnswer),
      response: {
        201: answer(Identity, 'The new identity.'),
        ...problems([...answerFailures, 'identity_taken', 'too_many_identities'])
      }
    }
  }, async (request, reply) => {
    const added = await identities.connect(callerOf(request).account, request.body, request)
    reply.code(201)
    return identityOf(added)
  })

  app.delete('/api/identities/:id', {
    schema: {
      operationId: 'deleteIdentity',
      summary: 'Remove an identity',
      description: 'Removes an identity from the account. Sessions that the provider began end.',
      curl: 'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/identities/5',
      params: IdentityParams,
      response: {
        204: noContent('The identity is removed.'),
        ...problems(['not_found', 'oidc_unavailable'])
      }
    }
  }, async (request, reply) => {
    await identities.remove(callerOf(request).account, request.params.id)
    recordEvent(securityLog, request, 'identity_removed')
    reply.code(204)
  })
}
