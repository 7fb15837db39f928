import { findName } from '../files/names.ts'
import type { Conditions } from '../metadata/conditions.ts'
import { preconditionOf } from '../metadata/preconditions.ts'
import { parseIf } from './if-header.ts'
import { type DavRequest, findTarget } from './paths.ts'
import { getResource } from './resource.ts'

/** The conditions of a request that changes something: `If`, `If-Match` and its kin. @throws malformed_request. */
export function conditionsOf ({ context, request, target }: DavRequest): Conditions {
  const precondition = preconditionOf(request.headers)
  const text = request.headers.if?.toString()
  if (text === undefined) return precondition
  const pathOf = (tag: string) => knownName(findTarget(tag, request, context)?.path)
  return { ...precondition, ...parseIf(text, { path: knownName(target.path), pathOf }) }
}

/** Judges `If` of a request that changes no file. @throws not_found, precondition_failed, malformed_request. */
export async function judgeIf (dav: DavRequest): Promise<void> {
  const { context, owner, target } = dav
  const { lists } = conditionsOf(dav)
  if (lists === undefined) return
  await getResource(context, owner, target)
  await context.metadata.locks.judge(owner.id, lists)
}

/** A path that something can have, or that of the root. */
function knownName (path: string | undefined): string | undefined {
  return path === undefined || path === '' ? path : findName(path)
}
