import type { FastifyRequest } from 'fastify'
import type { EventKind, SecurityLog } from '../accounts/events.ts'
import { originOf } from '../accounts/network.ts'
import { queriedName } from '../files/names.ts'
import { callerOf } from '../http/caller.ts'
import type { Links } from '../http/links.ts'
import { nextPageOf, pageById } from '../http/pagination.ts'
import type { Routes } from '../http/services.ts'
import type { LinkKind, LinkRecord } from '../metadata/link-records.ts'
import { requireScope } from '../tokens/tokens.ts'
import {
  changeLink, createLink, deleteLink, deleteLinks, getLink, getLinkSecret, LINK_PATH, LINK_SECRET_PATH, linkOf,
  LINKS_PATH, listLinks, operationsOfLink, replaceLinkSecret
} from './schemas.ts'
import type { LinkAndSecret } from './share-links.ts'

/** What a token may share: only what it may do itself. */
const SCOPE_OF_KIND = { download: 'files:read', upload: 'files:write' } as const

/** The links of the caller. */
export const linkRoutes: Routes = async (app, { metadata, shareLinks, securityLog, links }) => {
  app.post(LINKS_PATH, { links: { 201: operationsOfLink }, schema: createLink }, async (request, reply) => {
    requireScopeOf(request, request.body.kind)
    const created = await shareLinks.create(callerOf(request).account.id, request.body)
    record(securityLog, request, 'link_created', created.link)
    reply.code(201)
    return createdLinkOf(created, request, links)
  })

  app.get(LINKS_PATH, {
    links: { 200: nextPageOf('listLinks', { name: '$request.query.name', signed: '$request.query.signed' }) },
    schema: listLinks
  }, async request => {
    const { account } = callerOf(request)
    const name = queriedName(request.query.name)
    const isOneUpload = request.query.signed
    const { entries, next } = await pageById(request.query, page =>
      metadata.links.list(account.id, { ...page, name, isOneUpload }))
    return { links: entries.map(linkOf), next }
  })

  app.get(LINK_PATH, { schema: getLink }, async request =>
    linkOf(await shareLinks.get(callerOf(request).account.id, request.params.id)))

  app.patch(LINK_PATH, { schema: changeLink }, async request => {
    const link = await shareLinks.get(callerOf(request).account.id, request.params.id)
    requireScopeOf(request, link.kind)
    const changed = await shareLinks.change(link, request.body)
    record(securityLog, request, 'link_changed', link)
    return linkOf(changed)
  })

  app.delete(LINK_PATH, { schema: deleteLink }, async (request, reply) => {
    const removed = await metadata.links.remove(callerOf(request).account.id, request.params.id)
    record(securityLog, request, 'link_revoked', removed)
    reply.code(204)
  })

  app.delete(LINKS_PATH, { schema: deleteLinks }, async (request, reply) => {
    await metadata.links.removeAll(callerOf(request).account.id, queriedName(request.query.name))
    record(securityLog, request, 'links_revoked')
    reply.code(204)
  })

  app.get(LINK_SECRET_PATH, { schema: getLinkSecret }, async request => {
    const link = await shareLinks.get(callerOf(request).account.id, request.params.id)
    requireScopeOf(request, link.kind)
    return { url: links.to(request.raw, `/s/${await shareLinks.secretOf(link)}`) }
  })

  app.post(LINK_SECRET_PATH, { schema: replaceLinkSecret }, async request => {
    const link = await shareLinks.get(callerOf(request).account.id, request.params.id)
    requireScopeOf(request, link.kind)
    const replaced = await shareLinks.replaceSecret(link)
    record(securityLog, request, 'link_changed', link)
    return createdLinkOf(replaced, request, links)
  })
}

/** Refuses a token that lacks what the link gives. @throws insufficient_scope. */
function requireScopeOf (request: FastifyRequest, kind: LinkKind) {
  requireScope(callerOf(request).token, SCOPE_OF_KIND[kind])
}

function createdLinkOf ({ link, secret }: LinkAndSecret, { raw }: Pick<FastifyRequest, 'raw'>, links: Links) {
  return { ...linkOf(link), url: links.to(raw, `/s/${secret}`) }
}

/** Records an event of a link, or of all. A link for one upload makes none: a program may make one for every file. */
function record (
  securityLog: SecurityLog, request: FastifyRequest, kind: EventKind, link?: Pick<LinkRecord, 'id' | 'fileName'>
): void {
  if (typeof link?.fileName === 'string') return
  const details = link === undefined ? {} : { details: { linkId: link.id } }
  securityLog.record({ kind, account: callerOf(request).account, ...details, ...originOf(request) })
}
