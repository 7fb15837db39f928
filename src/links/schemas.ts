import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { MAX_NAME_BYTES } from '../files/names.ts'
import { PATH_PATTERN, StoredFile } from '../files/schemas.ts'
import { NextId, PageQuery } from '../http/pagination.ts'
import {
  Count, dateOf, Id, knownDateOf, MAX_FIELD_LENGTH, MAX_TEXT_POINTS, NullableTimestamp, OneOf, SharedObject,
  Timestamp
} from '../http/wire-values.ts'
import { linkKinds, type LinkRecord } from '../metadata/link-records.ts'
import { operationLinks } from '../openapi/operation.ts'
import { answer, noContent, problems } from '../openapi/responses.ts'
import { SECRET_PATTERN } from './link-secrets.ts'

/** The paths of the owner's operations. */
export const LINKS_PATH = '/api/links'
export const LINK_PATH = `${LINKS_PATH}/:id`
export const LINK_SECRET_PATH = `${LINK_PATH}/secret`

/** Most files that a link accepts. */
const MAX_FILES = 1_000_000

/** SHA-256 in hex. */
const SHA256_PATTERN = String(StoredFile.properties.sha256.pattern)

/** A limit of an `upload` link in a response. */
const Limit = (description: string, maximum: number) => Type.Unsafe<number | null>({
  type: ['integer', 'null'],
  format: 'int64',
  minimum: 1,
  maximum,
  description: `${description}; null for a link of the kind \`download\`.`,
  examples: [null]
})

export const Kind = (description: string) =>
  OneOf(linkKinds, { description, examples: ['download'] })

const linkProperties = {
  id: Id('Id of the link; never reused. It opens nothing.', 3),
  kind: Kind('`download` gives the bytes of a file, or of all files in a folder. `upload` takes files for a folder, ' +
    'and shows none of it.'),
  name: Type.String({
    minLength: 1,
    maxLength: MAX_NAME_BYTES,
    pattern: PATH_PATTERN,
    description: 'The path of the file or folder now: a link follows it when it is renamed or moved.',
    examples: ['report.pdf']
  }),
  isFolder: Type.Boolean({ description: 'Whether it is a folder.', examples: [false] }),
  createdAt: Timestamp('When the link was created.'),
  expiresAt: NullableTimestamp('When the link ends (RFC 3339, UTC, with milliseconds); null if it ends only when you ' +
    'revoke it. Links that have ended stay in the list.', '2026-12-24T09:30:00.000Z'),
  hasPassword: Type.Boolean({ description: 'Whether visitors need a password.', examples: [false] }),
  maxFiles: Limit('Files that the link accepts in all', MAX_FILES),
  maxBytes: Limit('Bytes that the link accepts in all', Number.MAX_SAFE_INTEGER),
  fileName: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    minLength: 1,
    maxLength: 255,
    pattern: '^[^/\\\\\\u0000-\\u001f\\u007f-\\u009f]+$',
    description: 'The name of the only file that the link accepts; null if it is not a link for one upload.',
    examples: [null]
  }),
  sha256: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    maxLength: 64,
    pattern: SHA256_PATTERN,
    description: 'The SHA-256 that this file must have; null for any.',
    examples: [null]
  }),
  usedFiles: Count('Files that were stored by the link. Deleting them gives nothing back to it.', 0),
  usedBytes: Count('Bytes of these files.', 0),
  showsOwner: Type.Boolean({ description: 'Whether visitors see your username.', examples: [true] }),
  uses: Count('Downloads and uploads by the link. A download that continues another is not counted.', 0),
  lastUsedAt: NullableTimestamp('Time of last use (RFC 3339, UTC), accurate to a minute; null if never used.')
}

export const Link = SharedObject('Link', 'A link, without its secret.', linkProperties)

const url = Type.String({
  format: 'uri-reference',
  maxLength: 4096,
  pattern: `/s/${SECRET_PATTERN}$`,
  description: 'The link, with its secret at the end. Absolute if PUBLIC_URL is set or the request was sent to the ' +
    'address the server listens on, else a path.',
  examples: ['http://127.0.0.1:5000/s/0123456789ABCDEFGHIJKL']
})

export const CreatedLink = SharedObject('CreatedLink', 'A link with its secret.', { ...linkProperties, url })

export const LinkAddress = SharedObject('LinkAddress', 'The address of a link.', { url })

export const LinkList = SharedObject('LinkList', 'A page of links.', {
  links: Type.Array(Type.Ref(Link), { maxItems: 1000, description: 'Newest first.' }),
  next: { ...NextId, examples: [null] }
})

// The time and the limits have no examples: they depend on the settings and on the kind.
const terms = {
  expiresAt: Type.Optional(Type.Union([Type.String({ format: 'date-time', maxLength: 64 }), Type.Null()], {
    description: 'When the link ends: a time in the future (RFC 3339), at most LINK_MAX_DAYS from now, which is ' +
      '`linkMaxDays` of `getService`. Null for no end, which only a server without that limit allows.'
  })),
  password: Type.Optional(Type.Union([Type.String({
    format: 'password',
    minLength: 1,
    maxLength: MAX_TEXT_POINTS
  }), Type.Null()], {
    description: 'A password that visitors need beside the link; null for none. The rules are those of an account. ' +
      'It is compared exactly, after NFC normalisation, and stored as a hash.',
    examples: ['tell it by phone']
  })),
  maxFiles: Type.Optional(Type.Integer({
    format: 'int32',
    minimum: 1,
    maximum: MAX_FILES,
    description: 'Only for `upload`: files that the link accepts in all. 100 unless you set it.'
  })),
  maxBytes: Type.Optional(Type.Integer({
    format: 'int64',
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Only for `upload`: bytes that the link accepts in all. 1 GiB unless you set it. Your quota holds too.'
  })),
  showsOwner: Type.Optional(Type.Boolean({ description: 'Whether visitors see your username.', examples: [true] }))
}

export const NewLink = Type.Object({
  name: Type.String({
    format: 'file-name',
    minLength: 1,
    maxLength: MAX_TEXT_POINTS,
    description: 'The path of a file or folder; not the root. An `upload` link needs a folder.',
    examples: ['report.pdf']
  }),
  kind: Kind('`download` or `upload`.'),
  fileName: Type.Optional(Type.String({
    format: 'file-name',
    minLength: 1,
    maxLength: MAX_TEXT_POINTS,
    description: 'Makes an `upload` link one for one upload: it accepts one file with exactly this name, which is ' +
      'one segment, and ends once that is stored. `maxFiles` is then 1.'
  })),
  sha256: Type.Optional(Type.String({
    maxLength: 64,
    pattern: SHA256_PATTERN,
    description: 'With `fileName`: SHA-256 of the content in lower-case hex. A file with other bytes is refused.'
  })),
  ...terms,
  expiresAt: {
    ...terms.expiresAt,
    description: `${terms.expiresAt.description} Without it, the latest time that is allowed.`
  },
  showsOwner: { ...terms.showsOwner, default: true }
}, {
  $id: 'NewLink',
  additionalProperties: false,
  description: 'A link to create.',
  examples: [{ name: 'report.pdf', kind: 'download' }]
})

export const LinkChange = Type.Object(terms, {
  $id: 'LinkChange',
  additionalProperties: false,
  minProperties: 1,
  description:
    'Changes of a link. What is absent stays.',
  examples: [{
    showsOwner: false
  }]
})

/** The shared schemas of the owner's operations, for the document. */
export const linkSchemas: TSchema[] = [Link, CreatedLink, LinkAddress, LinkList, NewLink, LinkChange]

const LinkParams = Type.Object({ id: Id('The `id` of the link.', 3) })

const nameQuery = (description: string) =>
  ({ name: Type.Optional(Type.String({ format: 'file-name', maxLength: MAX_FIELD_LENGTH, description })) })

const LinkListQuery = Type.Composite([
  PageQuery,
  Type.Object({
    ...nameQuery('Only links of the file or folder with this path.'),
    signed: Type.Optional(Type.Boolean({ description: 'Only links for one upload, instead of all others.' }))
  })
], { additionalProperties: false })

// A mistyped parameter would revoke all.
const LinkDeletionQuery = Type.Object(nameQuery('Only links of the file or folder with this path.'), {
  additionalProperties: false
})

/** Operations that use a link (OpenAPI links). */
export const operationsOfLink = operationLinks({ id: '$response.body#/id' }, {
  getLink: 'Get the link with its uses.',
  getLinkSecret: 'Get its address again.',
  changeLink: 'Change the expiry, the password or the limits.',
  replaceLinkSecret: 'Give it another secret.',
  deleteLink: 'Revoke it.'
})

/** Sets `$id` to that of a new link. */
const newLinkId = 'id=$(curl -fsS -u test_user:pwd -H "Content-Type: application/json" -d ' +
  '\'{"name":"report.pdf","kind":"download"}\' http://127.0.0.1:5000/api/links | sed \'s/.*"id":\\([0-9]*\\).*/\\1/\')'

export const createLink = {
  operationId: 'createLink',
  summary: 'Create a link',
  description: [
    'Anyone who has the `url` of the response can use the link, without an account, until it expires or is revoked: ' +
      'send it over a secure channel.',
    'It gives access to one file, or to one folder with everything in it, also what is added later, and to nothing ' +
      'else: no versions, no trash, no other names.',
    'It follows the file or folder when that is renamed or moved, and ends when it is deleted.',
    'With `download`, visitors list and download; with `upload`, they add files to a folder, and can neither see, ' +
      'change nor delete what is in it.',
    'A token also needs `files:read` for `download`, and `files:write` for `upload`. An account has at most 1,000 ' +
      'links, expired ones included.',
    'With `fileName`, an `upload` link is for one upload: a program makes one so that a browser can send a ' +
      'file straight to the server. `expiresAt` may be seconds away, `sha256` says which bytes it takes, and ' +
      '`maxBytes` how many at most. It stores one file under that name, never under another, and is deleted ' +
      'once it is used or has expired. Such links are listed only with `signed`, make no events, and an account ' +
      'has at most 10,000 of them beside the others. The change in `listChanges` has the id of the link as ' +
      '`linkId`.'
  ].join(' '),
  curl: 'curl -f -u test_user:pwd -H "Content-Type: application/json" -d ' +
      '\'{"name":"report.pdf","kind":"download","password":"tell it by phone"}\' http://127.0.0.1:5000/api/links',
  body: Type.Ref(NewLink),
  response: {
    201: answer(CreatedLink, 'The new link.'),
    ...problems(['name_invalid', 'password_invalid', 'links_off', 'not_found', 'name_taken', 'too_many_links'])
  }
}

export const listLinks = {
  operationId: 'listLinks',
  summary: 'List links',
  description: 'Lists your links, newest first, also those that have expired. The secret of a link is never ' +
    'returned. Links for one upload, which have a `fileName`, are listed with `signed`, and then alone.',
  curl: 'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/links?name=report.pdf"',
  querystring: LinkListQuery,
  response: { 200: answer(LinkList, 'A page of links.') }
}

export const getLink = {
  operationId: 'getLink',
  summary: 'Get a link',
  description: 'Returns a link with its uses, without its secret.',
  curl: [newLinkId, 'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/links/$id"'],
  params: LinkParams,
  response: { 200: answer(Link, 'The link.'), ...problems(['not_found']) }
}

export const changeLink = {
  operationId: 'changeLink',
  summary: 'Change a link',
  description: 'Changes the expiry, the password, the limits or whether visitors see your username. The address ' +
    'stays, and a link that has expired opens again with a new `expiresAt`. Visitors who gave the earlier password ' +
    'must give the new one. A limit below what is used already ends uploads. A token needs the scopes as for ' +
    '`createLink`.',
  curl: [
    newLinkId,
    'curl -f -u test_user:pwd -X PATCH -H "Content-Type: application/json" -d \'{"password":"another one"}\' ' +
      '"http://127.0.0.1:5000/api/links/$id"'
  ],
  params: LinkParams,
  body: Type.Ref(LinkChange),
  response: {
    200: answer(Link, 'The changed link.'),
    ...problems(['password_invalid', 'links_off', 'not_found'])
  }
}

export const getLinkSecret = {
  operationId: 'getLinkSecret',
  summary: 'Get the address of a link',
  description: 'Returns the address of a link again, also of one that has expired. The server keeps the secret ' +
    'encrypted with a key that is not in its database. After a restore from a backup, or if that key is gone, the ' +
    'address is not known: the link still opens, and `replaceLinkSecret` gives it a new one. A token needs the ' +
    'scopes as for `createLink`.',
  curl: [newLinkId, 'curl -f -u test_user:pwd "http://127.0.0.1:5000/api/links/$id/secret"'],
  params: LinkParams,
  response: {
    200: answer(LinkAddress, 'The address.'),
    ...problems(['links_off', 'not_found', 'link_address_unknown'])
  }
}

export const replaceLinkSecret = {
  operationId: 'replaceLinkSecret',
  summary: 'Replace the secret of a link',
  description: 'Returns a new address of the link; the earlier one opens nothing from now on. Limits, password and ' +
    'uses stay. Use it if the address got into wrong hands, or is lost. A token needs the scopes as for `createLink`.',
  curl: [newLinkId, 'curl -f -u test_user:pwd -X POST "http://127.0.0.1:5000/api/links/$id/secret"'],
  params: LinkParams,
  response: {
    200: answer(CreatedLink, 'The link with its new secret.'),
    ...problems(['links_off', 'not_found'])
  }
}

export const deleteLink = {
  operationId: 'deleteLink',
  summary: 'Revoke a link',
  description: 'Ends a link: the next request with it gets 404, and its unfinished uploads end. Downloads in ' +
    'progress complete. Files that were uploaded by it stay.',
  curl: [newLinkId, 'curl -f -u test_user:pwd -X DELETE "http://127.0.0.1:5000/api/links/$id"'],
  params: LinkParams,
  response: {
    204: noContent('The link is revoked.'),
    ...problems(['not_found'])
  }
}

export const deleteLinks = {
  operationId: 'deleteLinks',
  summary: 'Revoke all links',
  description: 'Ends all your links, or with `name` those of one file or folder. A change of the password ends no ' +
    'links: use this if somebody else had access to your account.',
  curl: 'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/links',
  querystring: LinkDeletionQuery,
  response: { 204: noContent('The links are revoked.') }
}

/** A link as its owner sees it. */
export function linkOf (link: LinkRecord): Static<typeof Link> {
  const { id, kind, name, maxFiles, maxBytes, fileName, sha256, usedFiles, usedBytes, showsOwner, uses } = link
  return {
    id,
    kind,
    name,
    isFolder: link.folderId !== null,
    createdAt: dateOf(link.createdAt),
    expiresAt: knownDateOf(link.expiresAt),
    hasPassword: link.passwordHash !== null,
    maxFiles,
    maxBytes,
    fileName,
    sha256,
    usedFiles,
    usedBytes,
    showsOwner,
    uses,
    lastUsedAt: knownDateOf(link.lastUsedAt)
  }
}
