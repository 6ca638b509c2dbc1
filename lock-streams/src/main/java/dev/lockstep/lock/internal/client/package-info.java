/** The lock client's side of the protocol: sessions, requests, replies. */
@NullMarked
package dev.lockstep.lock.internal.client;

import org.jspecify.annotations.NullMarked;
