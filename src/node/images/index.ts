/** Container images as files for a guest: what the rooms beside this one see of it. */
export { imageOfArchive, imageOfLayout, isLayout } from './archives.ts';
export { readFromLayers, shareLayers } from './layers.ts';
export { type ImageConfig, type ImageContents, PLAIN_CONFIG } from './oci.ts';
export { parseReference } from './reference.ts';
export { fetchImage } from './registry.ts';
