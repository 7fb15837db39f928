import { noContent, problems } from '../openapi/responses.ts'
import { FOLDER_PATH, FolderParams } from './folder-schemas.ts'
import { FileParams } from './schemas.ts'

/** The paths of locks. */
export const FILE_LOCK_PATH = '/api/files/:name/lock'
export const FOLDER_LOCK_PATH = `${FOLDER_PATH}/lock`

/** The body of `LOCK` that asks for an exclusive lock. */
const LOCK = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'

const response = {
  204: noContent('The lock has ended.'),
  ...problems(['not_found'])
}

export const breakFileLock = {
  operationId: 'breakFileLock',
  summary: 'Break the lock of a file',
  description: 'Ends the locks that WebDAV clients have set on the file itself, without their tokens. Such a client ' +
    'may still be editing the file, and can then no longer save it under its lock. A lock ends by itself too, after ' +
    'an hour at most. A lock of a folder above is broken with `DELETE /api/folders/{name}/lock`: the member `locked` ' +
    'of a 423 names it.',
  curl: [
    'token=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/token | grep -Eo "eyJ[A-Za-z0-9._-]+")',
    `curl -f -H "Authorization: Bearer $token" -X LOCK -H "Content-Type: application/xml" -d '${LOCK}' ` +
      'http://127.0.0.1:5000/dav/report.pdf',
    'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/files/report.pdf/lock'
  ],
  params: FileParams,
  response
}

export const breakFolderLock = {
  operationId: 'breakFolderLock',
  summary: 'Break the lock of a folder',
  description: 'Ends the locks that WebDAV clients have set on the folder itself, without their tokens, as `DELETE ' +
    '/api/files/{name}/lock` does for a file.',
  curl: [
    'token=$(curl -f -u test_user:pwd http://127.0.0.1:5000/api/token | grep -Eo "eyJ[A-Za-z0-9._-]+")',
    `curl -f -H "Authorization: Bearer $token" -X LOCK -H "Content-Type: application/xml" -d '${LOCK}' ` +
      'http://127.0.0.1:5000/dav/reports/',
    'curl -f -u test_user:pwd -X DELETE http://127.0.0.1:5000/api/folders/reports/lock'
  ],
  params: FolderParams,
  response
}
