import { Type } from '@sinclair/typebox'
import { callerOf, oneTimeCodeOf, recordEvent } from '../http/caller.ts'
import { nextPageOf, pageById, PageQuery } from '../http/pagination.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { Routes } from '../http/services.ts'
import { dateOf } from '../http/wire-values.ts'
import { type EventRecord, NO_PASSWORD } from '../metadata/records.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import type { EventKind } from './events.ts'
import { networkOf, originOf } from './network.ts'
import {
  Account, AccountEventList, ClaimSecret, FoundClaim, NewClaim, NewPassword, NewUser, registrationLinks, User,
  userHeaders, userOf, UserParams
} from './schemas.ts'

/** Registration and public profiles; no credentials required. */
export const userRoutes: Routes = async (app, { accounts, links, securityLog, config }) => {
  app.post('/api/users', {
    onRequest: async request => refuseInsecurePassword(request, config),
    links: { 201: registrationLinks },
    schema: {
      operationId: 'registerUser',
      summary: 'Register a user',
      description: 'Creates a user. The password is stored as an argon2id hash. Usernames that differ only in case ' +
        'or width are the same.',
      curl: 'curl -f -H "Content-Type: application/json" -d \'{"username":"second_user","password":"pwd"}\' ' +
        'http://127.0.0.1:5000/api/users',
      body: Type.Ref(NewUser),
      response: {
        201: { ...answer(User, 'The new user.'), headers: userHeaders },
        ...problems([
          'username_invalid', 'username_taken', 'password_invalid', 'registration_closed', 'tls_required',
          'too_many_registrations', 'storage_full'
        ])
      }
    }
  }, async (request, reply) => {
    const account = await accounts.register(request.body, networkOf(request.ip))
    securityLog.record({ kind: 'registered', account, ...originOf(request) })
    reply.code(201).header('location', links.to(request.raw, `/api/users/${account.id}`))
    return userOf(account)
  })

  app.get('/api/users/:id', {
    schema: {
      operationId: 'getUser',
      summary: 'Get a user',
      description: 'Returns the public profile of a user. An unknown or invalid id is a 400.',
      curl: 'curl -f http://127.0.0.1:5000/api/users/1',
      params: UserParams,
      response: {
        200: answer(User, 'The user.'),
        ...problems(['user_unknown'])
      }
    }
  }, async request => userOf(await accounts.get(request.params.id)))
}

/** Invitations and resets; no credentials required but the second factor of the account. */
export const claimRoutes: Routes = async (app, { claims, links, securityLog, config }) => {
  app.post('/api/account/claim/check', {
    onRequest: async request => refuseInsecurePassword(request, config),
    schema: {
      operationId: 'checkClaim',
      summary: 'Look at an invitation or a reset link',
      description: 'Tells whether a link of the operator can still be used, without using it. One that was used or ' +
        'replaced, or has expired, is answered as one that never was.',
      curl: 'curl -f -H "Content-Type: application/json" -d \'{"secret":"<secret>"}\' ' +
        'http://127.0.0.1:5000/api/account/claim/check',
      body: Type.Ref(ClaimSecret),
      response: {
        200: answer(FoundClaim, 'It can be used.'),
        ...problems(['tls_required', 'not_found'])
      }
    }
  }, async request => ({ kind: await claims.kindOf(request.body.secret) }))

  app.post('/api/account/claim', {
    onRequest: async request => refuseInsecurePassword(request, config),
    schema: {
      operationId: 'claimAccount',
      summary: 'Use an invitation or a reset link',
      description: 'The operator makes links to `/#claim=<secret>`. An invitation registers a user, also if ' +
        'registration is closed. A reset sets a new password and revokes all tokens of the account; with a second ' +
        'factor it needs a code in `One-Time-Code`, such as one of `confirmClaim` for a passkey, unless the link ' +
        'removes the factors. A link works once, within 24 hours; a refused request does not end it.',
      curl: 'curl -f -H "Content-Type: application/json" -d ' +
        '\'{"secret":"<secret>","username":"invited_user","password":"pwd"}\' ' +
        'http://127.0.0.1:5000/api/account/claim',
      security: [{}, { oneTimeCode: [] }],
      body: Type.Ref(NewClaim),
      response: {
        201: { ...answer(User, 'The new user of an invitation.'), headers: userHeaders },
        204: noContent('The password is reset.'),
        ...problems([
          'username_invalid', 'username_taken', 'password_invalid', 'second_factor_required', 'second_factor_wrong',
          'tls_required', 'not_found', 'too_many_codes', 'storage_full'
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

/** The user's own account; accepts any credential. */
export const accountRoutes: Routes = async (app, { metadata, space }) => {
  app.get('/api/account', {
    schema: {
      operationId: 'getAccount',
      summary: 'Get your account',
      description: 'Returns your username, storage usage and quota.',
      curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/account',
      response: { 200: answer(Account, 'The account.') }
    }
  }, async request => {
    const { account } = callerOf(request)
    const hasPassword = account.passwordHash !== NO_PASSWORD
    return { ...userOf(account), hasPassword, usage: await space.usageOf(account) }
  })

  app.get('/api/account/events', {
    links: { 200: nextPageOf('listEvents') },
    schema: {
      operationId: 'listEvents',
      summary: 'List account events',
      description: 'Lists failed sign-ins, sign-ins from new networks, token and password changes, newest first. ' +
        'They are kept for 90 days by default, about the latest 20,000, and of each kind at least the latest 1,000.',
      curl: 'curl -f -u test_user:pwd http://127.0.0.1:5000/api/account/events',
      querystring: PageQuery,
      response: { 200: answer(AccountEventList, 'One page of events.') }
    }
  }, async request => {
    const { account } = callerOf(request)
    const { entries, next } = await pageById(request.query, page => metadata.events.list(account.id, page))
    return { events: entries.map(eventOf), next }
  })
}

/** Routes that require the password. */
export const passwordRoutes: Routes = async (app, { accounts, securityLog }) => {
  app.put('/api/account/password', {
    schema: {
      operationId: 'changePassword',
      summary: 'Change your password',
      description: 'Requires the current password (HTTP Basic). All tokens of the account are revoked, including ' +
        'personal access tokens.',
      curl: 'curl -f -u second_user:pwd -X PUT -H "Content-Type: application/json" -d \'{"password":"a longer ' +
        'secret"}\' http://127.0.0.1:5000/api/account/password',
      body: Type.Ref(NewPassword),
      response: {
        204: noContent('The password is changed.'),
        ...problems(['password_invalid'])
      }
    }
  }, async (request, reply) => {
    await accounts.changePassword(callerOf(request).account, request.body.password)
    recordEvent(securityLog, request, 'password_changed')
    reply.code(204)
  })
}

/** Deletes the account; requires the password, or what stands for it in an account without one. */
export const removalRoutes: Routes = async (app, { accounts, securityLog }) => {
  app.delete('/api/account', {
    schema: {
      operationId: 'deleteAccount',
      summary: 'Delete your account',
      description: 'Deletes the user, all their tokens and all their files at once. The username can be registered ' +
        'again.',
      curl: [
        'curl -f -H "Content-Type: application/json" -d \'{"username":"third_user","password":"pwd"}\' ' +
          'http://127.0.0.1:5000/api/users',
        'curl -f -u third_user:pwd -X DELETE http://127.0.0.1:5000/api/account'
      ],
      response: { 204: noContent('The account is deleted.') }
    }
  }, async (request, reply) => {
    await accounts.remove(callerOf(request).account)
    recordEvent(securityLog, request, 'account_removed')
    reply.code(204)
  })
}

function eventOf ({ id, kind, details, network, requestId, at }: EventRecord) {
  const linkId = (details?.linkId ?? null) as number | null
  return { id, kind: kind as EventKind, network, requestId, linkId, createdAt: dateOf(at) }
}
