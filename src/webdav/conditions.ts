import type { FastifyRequest } from 'fastify'
import { findName } from '../files/names.ts'
import { callerOf } from '../http/caller.ts'
import type { HttpServices } from '../http/services.ts'
import type { Conditions } from '../metadata/conditions.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import { parseIf } from './if-header.ts'
import { findTarget, type Site, targetOf } from './paths.ts'
import { getResource } from './resource.ts'

/** The conditions of a request that changes something: `If`, `If-Match` and its kin. @throws malformed_request. */
export function conditionsOf (request: FastifyRequest, site: Site): Conditions {
  const precondition = preconditionOf(request.headers)
  const text = request.headers.if?.toString()
  if (text === undefined) return precondition
  const pathOf = (tag: string) => knownName(findTarget(tag, request, site)?.path)
  return { ...precondition, ...parseIf(text, { path: knownName(targetOf(request, site).path), pathOf }) }
}

/** Judges `If` of a request that changes no file. @throws not_found, precondition_failed, malformed_request. */
export async function judgeIf (context: HttpServices, request: FastifyRequest): Promise<void> {
  const { lists } = conditionsOf(request, context)
  if (lists === undefined) return
  const { account } = callerOf(request)
  await getResource(context, account, targetOf(request, context))
  await context.metadata.locks.judge(account.id, lists)
}

/** A path that something can have, or that of the root. */
function knownName (path: string | undefined): string | undefined {
  return path === undefined || path === '' ? path : findName(path)
}
