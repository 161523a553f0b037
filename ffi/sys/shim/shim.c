#define _GNU_SOURCE
#include <string.h>

#include "shim.h"

int braid_errno(void)
{
	return rte_errno;
}

static ssize_t log_write(void *cookie, const char *bytes, size_t length)
{
	ssize_t (*write)(const char *, size_t);

	memcpy(&write, &cookie, sizeof(write));
	return write(bytes, length);
}

FILE *braid_log_stream(ssize_t (*write)(const char *bytes, size_t length))
{
	void *cookie;
	cookie_io_functions_t functions = { .write = log_write };

	memcpy(&cookie, &write, sizeof(cookie));
	return fopencookie(cookie, "w", functions);
}

struct rte_mbuf *braid_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int braid_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
}

void braid_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

/* Takes bytes off the front of a packet that has more of them, freeing the segments that become empty. */
static struct rte_mbuf *without_front(struct rte_mbuf *mbuf, uint32_t length)
{
	while (length >= mbuf->data_len) {
		struct rte_mbuf *next = mbuf->next;

		length -= mbuf->data_len;
		next->pkt_len = mbuf->pkt_len - mbuf->data_len;
		next->nb_segs = mbuf->nb_segs - 1;
		mbuf->next = NULL;
		mbuf->nb_segs = 1;
		rte_pktmbuf_free_seg(mbuf);
		mbuf = next;
	}
	rte_pktmbuf_adj(mbuf, length);
	return mbuf;
}

struct rte_mbuf *braid_copy_front(struct rte_mbuf *mbuf, struct rte_mempool *pool, uint32_t length)
{
	struct rte_mbuf *front = rte_pktmbuf_copy(mbuf, pool, 0, length), *rest;

	if (front == NULL || mbuf->pkt_len <= length)
		return front;
	rest = rte_pktmbuf_clone(mbuf, pool);
	if (rest == NULL) {
		rte_pktmbuf_free(front);
		return NULL;
	}
	rest = without_front(rest, length);
	if (rte_pktmbuf_chain(front, rest) != 0) {
		rte_pktmbuf_free(front);
		rte_pktmbuf_free(rest);
		return NULL;
	}
	return front;
}

/* braid_copy_fronts for packets of any shape. */
static int copy_fronts_singly(struct rte_mbuf *const *mbufs, unsigned int count, struct rte_mempool *pool,
			      uint32_t length, struct rte_mbuf **copies)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		copies[i] = braid_copy_front(mbufs[i], pool, length);
		if (copies[i] == NULL) {
			rte_pktmbuf_free_bulk(copies, i);
			memset(copies, 0, i * sizeof(*copies));
			return -ENOMEM;
		}
	}
	return 0;
}

/* Whether the front is all in the first segment, and the rest is there too, so that it is copied as it lies. */
static int is_simple(const struct rte_mbuf *mbuf, uint32_t length)
{
	return mbuf->nb_segs == 1 && (length < mbuf->data_len ? RTE_MBUF_DIRECT(mbuf) : 1);
}

int braid_copy_fronts(struct rte_mbuf *const *mbufs, unsigned int count, struct rte_mempool *pool, uint32_t length,
		      struct rte_mbuf **copies)
{
	struct rte_mbuf *fresh[2 * BRAID_BURST];
	unsigned int i, used, wanted = count;

	for (i = 0; i < count; i++) {
		if (!is_simple(mbufs[i], length))
			return copy_fronts_singly(mbufs, count, pool, length, copies);
		wanted += mbufs[i]->data_len > length;
	}
	if (rte_pktmbuf_alloc_bulk(pool, fresh, wanted) != 0)
		return -ENOMEM;
	if (rte_pktmbuf_tailroom(fresh[0]) < length) {
		rte_pktmbuf_free_bulk(fresh, wanted);
		return copy_fronts_singly(mbufs, count, pool, length, copies);
	}
	for (i = 0, used = count; i < count; i++) {
		struct rte_mbuf *mbuf = mbufs[i], *front = fresh[i];
		uint16_t copied = RTE_MIN(mbuf->data_len, length);

		__rte_pktmbuf_copy_hdr(front, mbuf);
		front->ol_flags = mbuf->ol_flags & ~(RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL);
		front->data_len = copied;
		front->pkt_len = mbuf->pkt_len;
		rte_memcpy(rte_pktmbuf_mtod(front, void *), rte_pktmbuf_mtod(mbuf, const void *), copied);
		if (copied < mbuf->data_len) {
			struct rte_mbuf *rest = fresh[used++];

			rte_pktmbuf_attach(rest, mbuf);
			rte_pktmbuf_adj(rest, copied);
			front->next = rest;
			front->nb_segs = 2;
		}
		copies[i] = front;
	}
	return 0;
}

unsigned int braid_pool_cached(const struct rte_mempool *pool)
{
	unsigned int lcore, sum = 0;

	if (pool->cache_size == 0)
		return 0;
	for (lcore = 0; lcore < RTE_MAX_LCORE; lcore++)
		sum += __atomic_load_n(&pool->local_cache[lcore].len, __ATOMIC_ACQUIRE);
	return sum;
}

unsigned int braid_pool_stored(const struct rte_mempool *pool)
{
	return rte_mempool_get_ops(pool->ops_index)->get_count(pool);
}

unsigned int braid_pool_size(const struct rte_mempool *pool)
{
	return pool->size;
}

/* Marks the pools made here, in the upper half of their word; the lower half is Rust's. */
static const uint64_t word_mark = 0x62726169ULL << 32;

/* DPDK's own private area comes first, our word behind it. */
static size_t word_offset(void)
{
	return RTE_ALIGN_CEIL(sizeof(struct rte_pktmbuf_pool_private), sizeof(uint64_t));
}

uint64_t *braid_pool_word(struct rte_mempool *pool)
{
	uint64_t *word = (uint64_t *)((char *)rte_mempool_get_priv(pool) + word_offset());

	if (pool->private_data_size < word_offset() + sizeof(*word) ||
	    __atomic_load_n(word, __ATOMIC_RELAXED) >> 32 != word_mark >> 32)
		return NULL;
	return word;
}

struct rte_mempool *braid_pool_create(const char *name, unsigned int count, unsigned int cache, uint16_t buffer,
				      int socket)
{
	/* rte_pktmbuf_pool_create, with a larger private area. */
	struct rte_pktmbuf_pool_private shape = { .mbuf_data_room_size = buffer, .mbuf_priv_size = 0 };
	struct rte_mempool *pool;
	int error;
	/*
	 * Without hugepages addresses are virtual, so a buffer may cross a page. Were that not said, each would begin
	 * at the same place of a page of its own, and all headers would compete for one set of the L1 cache.
	 */
	unsigned int flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;

	pool = rte_mempool_create_empty(name, count, sizeof(struct rte_mbuf) + buffer, cache,
					word_offset() + sizeof(word_mark), socket, flags);
	if (pool == NULL)
		return NULL;
	error = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (error == 0) {
		rte_pktmbuf_pool_init(pool, &shape);
		memcpy((char *)rte_mempool_get_priv(pool) + word_offset(), &word_mark, sizeof(word_mark));
		error = rte_mempool_populate_default(pool);
	}
	if (error < 0) {
		rte_mempool_free(pool);
		rte_errno = -error;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

uint16_t braid_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t braid_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

uint16_t braid_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_prepare(port, queue, mbufs, count);
}

int braid_link(uint16_t port, int *up, uint32_t *speed)
{
	struct rte_eth_link link;
	int error;

	memset(&link, 0, sizeof(link));
	error = rte_eth_link_get_nowait(port, &link);
	if (error != 0)
		return error;
	*up = link.link_status == RTE_ETH_LINK_UP;
	*speed = link.link_speed;
	return 0;
}

int braid_is_bond_member(uint16_t port)
{
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(port, &info) != 0 || info.dev_flags == NULL)
		return 0;
#ifdef RTE_ETH_DEV_BONDING_MEMBER
	return (*info.dev_flags & RTE_ETH_DEV_BONDING_MEMBER) != 0;
#else
	return (*info.dev_flags & RTE_ETH_DEV_BONDED_SLAVE) != 0;
#endif
}

struct rte_device *braid_device(uint16_t port)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(port, &info) == 0 ? info.device : NULL;
}

unsigned int braid_lcore_id(void)
{
	return rte_lcore_id();
}

uint64_t braid_tsc(void)
{
	return rte_rdtsc();
}
