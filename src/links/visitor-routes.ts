import cookie from '@fastify/cookie'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { originOf } from '../accounts/network.ts'
import type { Listing } from '../files/cursor.ts'
import type { DownloadRequest } from '../files/download.ts'
import { sendFile, sendThumbnail, sendZip } from '../files/file-response.ts'
import { folderOrRoot, getName } from '../files/names.ts'
import { problemOf, sendProblem } from '../http/error-handler.ts'
import { prefersHtml, prepareHtml, sendHtml } from '../http/html.ts'
import { publicFolder } from '../http/links.ts'
import { cutPage, limitOf, linkPage, nextPageOf } from '../http/pagination.ts'
import { refuseInsecurePassword } from '../http/protection.ts'
import type { Routes } from '../http/services.ts'
import { visitOf } from '../http/caller.ts'
import { splitPath } from '../metadata/paths.ts'
import { Problem } from '../problems.ts'
import { admitVisitors, linkCookieOf } from './admission.ts'
import { UNLOCKED_SECONDS } from './link-passwords.ts'
import { positionOf, createSharedContent, type SharedPosition } from './shared-content.ts'
import {
  downloadSharedFile, downloadSharedZip, getSharedLink, getSharedThumbnail, headSharedFile, LINK_FILE_PATH, LINK_PATH,
  LINK_THUMBNAIL_PATH, listSharedFolder, sharedLinkOf, sharedListOf, unlockLink
} from './visitor-schemas.ts'

/** Visitors are told the limits of the link, not those of its owner. */
const NO_QUOTA = { bytes: undefined, files: undefined }

/** What a link is, its password, and the bytes of a `download` link. */
export const visitorRoutes: Routes = async (app, options) => {
  await app.register(openingRoutes, options)
  await app.register(unlockRoutes, options)
  await app.register(contentRoutes, options)
}

const openingRoutes: Routes = async (app, services) => {
  const { metadata, page } = services
  // The form of the page downloads without a script.
  await prepareHtml(app, { formAction: ["'self'"] })
  admitVisitors(app, services, { needsPassword: false })

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
    return sharedLinkOf(visit, isCounted ? (await metadata.links.room(account.id, link.id, NO_QUOTA)).link : null)
  })
}

const unlockRoutes: Routes = async (app, services) => {
  const { config, linkPasswords } = services
  await app.register(cookie)
  admitVisitors(app, services, { needsPassword: false })

  app.post(`${LINK_PATH}/unlock`, {
    schema: unlockLink
  }, async (request, reply) => {
    const visit = visitOf(request)
    const { link, now } = visit
    if (link.passwordHash === null) return reply.code(204).send()
    refuseInsecurePassword(request, config)
    await linkPasswords.verify(visit, request.body.password, originOf(request))
    return reply.code(204).setCookie(linkCookieOf(request), await linkPasswords.seal(link, now), {
      httpOnly: true,
      sameSite: 'strict',
      secure: request.protocol === 'https',
      path: `${publicFolder(config.publicUrl)}/s/${request.params.secret}`,
      maxAge: UNLOCKED_SECONDS
    }).send()
  })
}

/** The bytes that a visitor asks for. */
interface WantedBytes extends Partial<Pick<DownloadRequest, 'disposition'>> { readonly name: string }

/** Operations of `download` links. */
const contentRoutes: Routes = async (app, services) => {
  const { cursors, links, linkUses, connections, thumbnails, zips, limitVisits, limitSharedZips } = services
  admitVisitors(app, services, { kind: 'download' })
  const content = createSharedContent(services)

  function send (request: FastifyRequest, reply: FastifyReply, { name, disposition }: WantedBytes) {
    const visit = visitOf(request)
    const onBegin = () => linkUses.add(visit.link.id, visit.now)
    const find = content.finderOf(visit, name)
    return sendFile({ request, reply, find, disposition, via: 'link', onBegin }, services)
  }

  app.get(LINK_FILE_PATH, {
    exposeHeadRoute: false,
    onRequest: limitVisits,
    schema: downloadSharedFile
  }, async (request, reply) => send(request, reply, { ...request.params, ...request.query }))

  app.head(LINK_FILE_PATH, headSharedFile, async (request, reply) =>
    send(request, reply, { ...request.params, ...request.query }))

  app.get(LINK_THUMBNAIL_PATH, {
    schema: getSharedThumbnail
  }, async (request, reply) => {
    const find = content.finderOf(visitOf(request), request.params.name)
    return sendThumbnail(reply, await thumbnails.get(await find()))
  })

  app.get(`${LINK_PATH}/zip`, {
    onRequest: limitSharedZips,
    schema: downloadSharedZip
  }, async (request, reply) => {
    const visit = visitOf(request)
    const folder = await content.findFolder(visit, getName(request.query.folder ?? '', folderOrRoot))
    const signal = connections.signalOf(request.raw, reply.raw)
    const zip = await zips.ofFolder({ ownerId: visit.account.id, signal }, folder)
    if (request.method === 'GET') linkUses.add(visit.link.id, visit.now)
    return sendZip(request, reply, zip)
  })

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
