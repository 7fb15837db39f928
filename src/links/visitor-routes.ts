import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { originOf } from '../accounts/network.ts'
import type { Cursors, Listing } from '../files/cursor.ts'
import { sendFile } from '../files/file-response.ts'
import type { Files } from '../files/files.ts'
import { folderOrRoot, getName } from '../files/names.ts'
import { problemOf, sendProblem } from '../http/error-handler.ts'
import { prefersHtml, prepareHtml, sendHtml } from '../http/html.ts'
import { type Links, publicFolder } from '../http/links.ts'
import type { Page } from '../http/page.ts'
import { cutPage, limitOf, linkPage, nextPageOf } from '../http/pagination.ts'
import { cookie } from '../http/plugins.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { TransferLimits } from '../http/transfer-limits.ts'
import { visitOf } from '../http/visit.ts'
import type { LinkRepository } from '../metadata/links.ts'
import { splitPath } from '../metadata/paths.ts'
import { Problem } from '../problems.ts'
import { admitVisitors, type AdmissionOptions, linkCookieOf } from './admission.ts'
import { UNLOCKED_SECONDS } from './link-passwords.ts'
import type { LinkUses } from './link-uses.ts'
import { positionOf, SharedContent, type SharedPosition } from './shared-content.ts'
import {
  downloadSharedFile, getSharedLink, headSharedFile, LINK_FILE_PATH, LINK_PATH, listSharedFolder, sharedLinkOf,
  sharedListOf, unlockLink
} from './visitor-schemas.ts'

export interface VisitorRoutesOptions {
  admission: AdmissionOptions
  shared: LinkRepository
  files: Files
  cursors: Cursors
  links: Links
  page: Page | undefined
  linkUses: LinkUses
  /** Of visitors: 64 a link, 16 of them a network, and those of their network. */
  limitVisits: TransferLimits
  publicUrl: string | undefined
}

/** Visitors are told the limits of the link, not those of its owner. */
const NO_QUOTA = { bytes: undefined, files: undefined }

/** What a link is, its password, and the bytes of a `download` link. */
export const visitorRoutes: FastifyPluginAsyncTypebox<VisitorRoutesOptions> = async (app, options) => {
  await app.register(openingRoutes, options)
  await app.register(unlockRoutes, options)
  await app.register(contentRoutes, options)
}

const openingRoutes: FastifyPluginAsyncTypebox<VisitorRoutesOptions> = async (app, { admission, shared, page }) => {
  // The form of the page downloads without a script.
  await prepareHtml(app, { formAction: ["'self'"] })
  admitVisitors(app, admission, { needsPassword: false })

  // Browsers get the page for a link that is not there, too.
  app.setErrorHandler(async (error: FastifyError | Problem, request, reply) => {
    if (problemOf(error).code !== 'not_found') return sendProblem(error, request, reply)
    reply.header('vary', 'Accept')
    if (page !== undefined && prefersHtml(request)) return sendHtml(reply.code(404), page.linkHtml)
    return sendProblem(error, request, reply)
  })

  app.get(LINK_PATH, {
    schema: getSharedLink
  }, async (request, reply) => {
    const visit = visitOf(request)
    const { account, link, file, isUnlocked } = visit
    const { params: { secret }, query: { download } } = request
    if (download !== undefined && isUnlocked && link.kind === 'download' && file !== undefined) {
      return reply.redirect(`${secret}/files/${encodeURIComponent(splitPath(file.name).name)}`, 303)
    }
    reply.header('vary', 'Accept')
    if (page !== undefined && prefersHtml(request)) return sendHtml(reply, page.linkHtml)
    const isCounted = isUnlocked && link.kind === 'upload'
    return sharedLinkOf(visit, isCounted ? (await shared.room(account.id, link.id, NO_QUOTA)).link : null)
  })
}

const unlockRoutes: FastifyPluginAsyncTypebox<VisitorRoutesOptions> = async (app, { admission, publicUrl }) => {
  await app.register(cookie)
  admitVisitors(app, admission, { needsPassword: false })

  app.post(`${LINK_PATH}/unlock`, {
    schema: unlockLink
  }, async (request, reply) => {
    const visit = visitOf(request)
    const { link, now } = visit
    const { linkPasswords, transport } = admission
    if (link.passwordHash === null) return reply.code(204).send()
    refuseInsecurePassword(request, transport)
    await linkPasswords.verify(visit, request.body.password, originOf(request))
    return reply.code(204).setCookie(linkCookieOf(request), await linkPasswords.seal(link, now), {
      httpOnly: true,
      sameSite: 'strict',
      secure: request.protocol === 'https',
      path: `${publicFolder(publicUrl)}/s/${request.params.secret}`,
      maxAge: UNLOCKED_SECONDS
    }).send()
  })
}

/** Operations of `download` links. */
const contentRoutes: FastifyPluginAsyncTypebox<VisitorRoutesOptions> = async (
  app, { admission, shared, files, cursors, links, linkUses, limitVisits }
) => {
  admitVisitors(app, admission, { kind: 'download' })
  const content = new SharedContent(shared)

  function send (request: FastifyRequest, reply: FastifyReply, name: string) {
    const visit = visitOf(request)
    const onBegin = () => linkUses.add(visit.link.id, visit.now)
    return sendFile({ request, reply, find: content.finderOf(visit, name), door: 'link', onBegin }, files)
  }

  app.get(LINK_FILE_PATH, {
    exposeHeadRoute: false,
    onRequest: limitVisits,
    schema: downloadSharedFile
  }, async (request, reply) => send(request, reply, request.params.name))

  app.head(LINK_FILE_PATH, {
    // As for `headFile`.
    config: { swagger: { exposeHeadRoute: true }, swaggerTransform: ({ schema, url }) => ({ schema: { ...schema, operationId: 'headSharedFile' }, url }) },
    schema: headSharedFile
  }, async (request, reply) => send(request, reply, request.params.name))

  app.get(`${LINK_PATH}/list`, {
    links: { 200: nextPageOf('listSharedFolder', { secret: '$request.path.secret', folder: '$request.query.folder' }) },
    schema: listSharedFolder
  }, async (request, reply) => {
    const visit = visitOf(request)
    const { raw, params: { secret }, query } = request
    const path = getName(query.folder ?? '', folderOrRoot)
    const listing: Listing = [visit.account.id, 'link', visit.link.id, path]
    const after = await cursors.read<SharedPosition>(query.cursor, listing)
    const limit = limitOf(query)
    const found = await content.list(visit, { path, after, limit })
    const page = cutPage(found, limit, last => cursors.write(positionOf(last), listing))
    const address = `/s/${secret}`
    const { entries, next } = await linkPage(reply, page, { links, path: `${address}/list` })
    return { ...sharedListOf(entries, path => links.to(raw, address + path)), next }
  })
}
