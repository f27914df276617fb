/** The worker that a machine runs in. */
import { serveMachine } from './serve.ts';

serveMachine();
