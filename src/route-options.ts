import type { FastifyInstance } from 'fastify'
import { createClaims } from './accounts/claims.ts'
import { SecurityLog } from './accounts/events.ts'
import { SignIn } from './accounts/sign-in.ts'
import { Challenges } from './factors/challenges.ts'
import { Factors } from './factors/factors.ts'
import { Passkeys } from './factors/passkeys.ts'
import { findPasskeyHost } from './factors/relying-party.ts'
import { CodeVerifier } from './factors/second-factor.ts'
import { createCursors } from './files/cursor.ts'
import { createTurns } from './files/turns.ts'
import { Zips } from './files/zips.ts'
import type { Connections } from './http/connections.ts'
import { createLinks } from './http/links.ts'
import { findPage } from './http/page.ts'
import { jwt } from './http/plugins.ts'
import { createTransferLimits } from './http/transfer-limits.ts'
import { LinkPasswords } from './links/link-passwords.ts'
import { ShareLinks } from './links/share-links.ts'
import { openEventLog } from './monitoring/event-log.ts'
import { createHealth } from './monitoring/health.ts'
import type { Outages } from './monitoring/outages.ts'
import type { Store } from './store.ts'
import { createCredentialCheck } from './tokens/credential-check.ts'
import { AccessTokens } from './tokens/jwt.ts'
import { SessionRequests } from './tokens/session-requests.ts'
import { Sessions } from './tokens/sessions.ts'
import { SignedTexts } from './tokens/signed-texts.ts'
import { Tokens } from './tokens/tokens.ts'

/** What watches the application as a whole. */
export interface Watchers { readonly connections: Connections, readonly outages: Outages }

/** Creates the rules that need the application, and the options of each group of routes. */
export async function createRouteOptions (app: FastifyInstance, store: Store, { connections, outages }: Watchers) {
  const {
    config, accounts, passwords, attemptLimiter, files, folders, changes, copies, locks, properties, keptFiles,
    uploads, quotas, metadata, blobs, keyRing, sealer, failures, linkUses
  } = store
  const accessTokens = new AccessTokens(keyRing, metadata.installationId)
  await app.register(jwt, accessTokens.pluginOptions)
  const tokens = new Tokens({ metadata, tokenSeconds: config.tokenSeconds })
  const appendEvent = config.eventLog === undefined ? undefined : openEventLog(config.eventLog, failures.of('EVENT_LOG'))
  const securityLog = new SecurityLog({
    metadata,
    write (event) {
      app.log.info({ security: event }, event.kind)
      appendEvent?.(event)
    },
    onFailure: failures.of('the record of a security event')
  })
  const secondFactor = new CodeVerifier({ metadata, sealer, attemptLimiter, securityLog })
  const maxFailures = config.signInFailures
  const signIn = new SignIn({ metadata, passwords, attemptLimiter, securityLog, secondFactor, maxFailures })
  const { publicUrl } = config
  const sessions = new SessionRequests({ sessions: new Sessions(tokens), accessTokens, securityLog, publicUrl })
  const links = createLinks(config.publicUrl)
  const { ids } = metadata
  const signedTexts = new SignedTexts(keyRing)
  const cursors = createCursors(signedTexts)
  const linkPasswords = new LinkPasswords({
    links: metadata.links, passwords, attemptLimiter, securityLog, texts: signedTexts, maxFailures
  })
  const { hasLinks } = config
  const challenges = new Challenges(signedTexts, () => metadata.now())
  const passkeys = new Passkeys({ metadata, challenges, securityLog })
  const { limitTransfers, limitVisits, limitZips, limitListings } = createTransferLimits(connections)
  const page = await findPage(config, app.log)
  return {
    links,
    page,
    health: createHealth({ ...config, metadata, blobs, hasBucket: config.storageUrl !== undefined, outages }),
    transport: config,
    guard: { signIn, tokens, accessTokens, transport: config, secondFactor: config.secondFactor },
    accountOptions: {
      accounts, quotas, securityLog, claims: createClaims({ metadata, passwords, accounts, signIn })
    },
    tokenOptions: { tokens, accessTokens, securityLog },
    sessionOptions: { sessions },
    factorOptions: { factors: new Factors({ metadata, sealer }), sessions, securityLog },
    passkeyOptions: { passkeys, sessions, securityLog, publicUrl },
    facts: {
      passkeyHost: findPasskeyHost(publicUrl) ?? null,
      secondFactor: config.secondFactor,
      links: hasLinks ? 'on' : 'off',
      linkMaxDays: config.linkMaxDays
    } as const,
    fileOptions: {
      files,
      folders,
      copies,
      locks,
      keptFiles,
      uploads,
      cursors,
      links,
      ids,
      maxFileBytes: config.maxFileBytes,
      limitTransfers
    },
    changeOptions: {
      changes, connections, cursors, links, ids, requireCurrent: createCredentialCheck({ signIn, tokens })
    },
    zipOptions: { zips: new Zips({ files, folders, blobs, metadata }), connections, limitZips },
    linkOptions: {
      shareLinks: new ShareLinks({ metadata, passwords, hasLinks, maxDays: config.linkMaxDays }),
      securityLog,
      links
    },
    visitorOptions: {
      admission: { hasLinks, links: metadata.links, linkPasswords, transport: config },
      shared: metadata.links,
      files,
      uploads,
      cursors,
      links,
      page,
      linkUses,
      maxFileBytes: config.maxFileBytes,
      limitVisits,
      publicUrl
    },
    davOptions: {
      files,
      folders,
      copies,
      locks,
      properties,
      quotas,
      publicUrl: config.publicUrl,
      limitTransfers,
      limitListings,
      takeTurn: createTurns()
    }
  }
}
