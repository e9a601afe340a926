/** The drop-in library's public names, nothing else. */

export { PhsyncError } from './hasher/errors.js';
