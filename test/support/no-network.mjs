import { Socket } from 'node:net';

// Loaded before a program that is to do without the network: whatever connects, fails at once and says so.
Socket.prototype.connect = (...args) => {
  throw new Error(`a connection was asked for: ${JSON.stringify(args[0])}`);
};
