package store

import "context"

// pepSchema is what people publish.
const pepSchema = `
CREATE TABLE node (
	account TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (account, name)
) WITHOUT ROWID;
`

// Nodes implements local.Nodes.
func (s *Store) Nodes(ctx context.Context, account string) (map[string][]byte, error) {
	nodes := map[string][]byte{}
	found, err := s.db.QueryContext(ctx, "SELECT name, content FROM node WHERE account = ?", account)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var name string
		var content []byte
		if err := found.Scan(&name, &content); err != nil {
			return nil, err
		}
		nodes[name] = content
	}
	return nodes, found.Err()
}

// PutNode implements local.Nodes.
func (s *Store) PutNode(ctx context.Context, account, node string, content []byte) error {
	return s.do(ctx, exec("INSERT OR REPLACE INTO node (account, name, content) VALUES (?, ?, ?)", account, node, content))
}

// DeleteNode implements local.Nodes.
func (s *Store) DeleteNode(ctx context.Context, account, node string) error {
	return s.do(ctx, exec("DELETE FROM node WHERE account = ? AND name = ?", account, node))
}
