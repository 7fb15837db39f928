import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { filePages, folderPages } from '../files/pages.ts'
import { callerOf } from '../http/caller.ts'
import type { HttpServices } from '../http/services.ts'
import { Problem } from '../problems.ts'
import { propfindOf, readXml } from './bodies.ts'
import { depthOf } from './headers.ts'
import { XML_TYPE } from './multistatus.ts'
import { targetOf } from './paths.ts'
import { createPropertyWriter } from './property-writer.ts'
import { fileResource, folderResource, getResource, type Resource } from './resource.ts'

/** Answers `PROPFIND` (RFC 4918 section 9.1), as a stream: a folder can have any number of members. */
export async function propfind (
  context: HttpServices, request: FastifyRequest, reply: FastifyReply
): Promise<Readable> {
  const query = propfindOf(await readXml(request))
  const depth = depthOf(request, ['0', '1', 'infinity'])
  if (depth === 'infinity') throw new Problem('depth_infinite')
  const { account } = callerOf(request)
  const target = targetOf(request, context)
  const resource = await getResource(context, account, target)
  const write = await createPropertyWriter(query, target, { ...context, account })
  reply.code(207).header('content-type', XML_TYPE)
  const pages = depth === '1' && resource.file === undefined ? withMembers(resource, account.id, context) : [[resource]]
  return Readable.from(write(pages), { objectMode: false })
}

async function * withMembers (
  folder: Resource, ownerId: number, { metadata }: HttpServices
): AsyncGenerator<Resource[]> {
  yield [folder]
  for await (const page of filePages(metadata, ownerId, folder.path)) yield page.map(fileResource)
  for await (const page of folderPages(metadata, ownerId, folder.path)) yield page.map(folderResource)
}
