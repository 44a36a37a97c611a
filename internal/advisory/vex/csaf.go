package vex

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// deepestBranch bounds the product tree; real ones have five levels.
const deepestBranch = 64

type csafProduct struct {
	ID     string `json:"product_id"`
	Helper struct {
		CPE    string   `json:"cpe"`
		PURL   string   `json:"purl"`
		PURLs  []string `json:"purls"` // CSAF 2.1
		Hashes []struct {
			Files []struct {
				Algorithm string `json:"algorithm"`
				Value     string `json:"value"`
			} `json:"file_hashes"`
		} `json:"hashes"`
	} `json:"product_identification_helper"`
}

type csafBranch struct {
	Branches []csafBranch `json:"branches"`
	Product  *csafProduct `json:"product"`
}

type csafNote struct {
	Category string   `json:"category"`
	Label    string   `json:"label"`
	Details  string   `json:"details"`
	Products []string `json:"product_ids"`
	Groups   []string `json:"group_ids"`
}

type csafVulnerability struct {
	CVE string `json:"cve"`
	IDs []struct {
		Text string `json:"text"`
	} `json:"ids"`
	Status struct {
		NotAffected   []string `json:"known_not_affected"`
		Fixed         []string `json:"fixed"`
		FirstFixed    []string `json:"first_fixed"`
		Affected      []string `json:"known_affected"`
		FirstAffected []string `json:"first_affected"`
		LastAffected  []string `json:"last_affected"`
	} `json:"product_status"`
	Flags   []csafNote `json:"flags"`
	Threats []csafNote `json:"threats"`
}

type csafDocument struct {
	Document struct {
		Publisher struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"publisher"`
		Tracking struct {
			ID      string `json:"id"`
			Current string `json:"current_release_date"`
			Status  string `json:"status"`
		} `json:"tracking"`
	} `json:"document"`
	Tree struct {
		Branches []csafBranch  `json:"branches"`
		Names    []csafProduct `json:"full_product_names"`
		Groups   []struct {
			ID       string   `json:"group_id"`
			Products []string `json:"product_ids"`
		} `json:"product_groups"`
		Relationships []struct {
			Part    string      `json:"product_reference"`
			Whole   string      `json:"relates_to_product_reference"`
			Product csafProduct `json:"full_product_name"`
		} `json:"relationships"`
	} `json:"product_tree"`
	Vulnerabilities []csafVulnerability `json:"vulnerabilities"`
}

func parseCSAF(b []byte) (document, error) {
	var in csafDocument
	if err := json.Unmarshal(b, &in); err != nil {
		return document{}, err
	}
	publisher := &in.Document.Publisher
	if publisher.Name == "" {
		return document{}, errors.New("it names no publisher")
	}
	doc := document{authors: nonEmpty(publisher.Name, publisher.Namespace)}
	if in.Document.Tracking.Status == "draft" {
		doc.refused = append(doc.refused, "it is a draft")
		return doc, nil
	}
	products, err := in.products()
	if err != nil {
		return document{}, err
	}
	groups := map[string][]string{}
	for _, g := range in.Tree.Groups {
		groups[g.ID] = g.Products
	}
	for i := range in.Vulnerabilities {
		v := &in.Vulnerabilities[i]
		base := statement{author: publisher.Name, id: in.Document.Tracking.ID, at: instant(in.Document.Tracking.Current)}
		base.names = nonEmpty(v.CVE)
		for _, id := range v.IDs {
			base.names = append(base.names, nonEmpty(id.Text)...)
		}
		say := func(ids []string, st status) {
			for _, id := range ids {
				p, ok := products[id]
				if !ok {
					continue
				}
				s := base
				s.product, s.status = p, st
				if st == notAffected {
					s.because = v.because(id, groups)
					if s.because == "" {
						doc.refused = append(doc.refused, "its statement on "+strings.Join(base.names, ", ")+" in "+id+" gives no justification")
						continue
					}
				}
				doc.statements = append(doc.statements, s)
			}
		}
		say(v.Status.NotAffected, notAffected)
		say(v.Status.Fixed, fixed)
		say(v.Status.FirstFixed, fixed)
		say(v.Status.Affected, affected)
		say(v.Status.FirstAffected, affected)
		say(v.Status.LastAffected, affected)
	}
	return doc, nil
}

// products collects every product of the tree by its id.
func (d *csafDocument) products() (map[string]product, error) {
	products := map[string]product{}
	add := func(p *csafProduct) {
		if p.ID != "" {
			products[p.ID] = product{component: p.component()}
		}
	}
	var walk func(list []csafBranch, depth int) error
	walk = func(list []csafBranch, depth int) error {
		if depth > deepestBranch {
			return errors.New("its product tree is too deep")
		}
		for i := range list {
			if list[i].Product != nil {
				add(list[i].Product)
			}
			if err := walk(list[i].Branches, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(d.Tree.Branches, 0); err != nil {
		return nil, err
	}
	for i := range d.Tree.Names {
		add(&d.Tree.Names[i])
	}
	for i := range d.Tree.Relationships {
		r := &d.Tree.Relationships[i]
		whole, part := products[r.Whole], products[r.Part]
		if r.Product.ID == "" {
			continue
		}
		// The combination may have identifiers of its own; else it is a part
		// of the whole.
		own := r.Product.component()
		combined := product{component: whole.component, parts: []component{part.component}}
		if len(own.ids) > 0 {
			combined.parts = []component{own}
		}
		products[r.Product.ID] = combined
	}
	return products, nil
}

func (p *csafProduct) component() component {
	c := component{cpe: p.Helper.CPE, ids: nonEmpty(append([]string{p.Helper.PURL}, p.Helper.PURLs...)...)}
	for _, h := range p.Helper.Hashes {
		for _, f := range h.Files {
			if strings.EqualFold(f.Algorithm, "sha256") {
				c.hashes = append(c.hashes, f.Value)
			}
		}
	}
	return c
}

// because returns the flag or impact statement on a product (CSAF 2.0, 4.5: one
// of them is compulsory for known_not_affected).
func (v *csafVulnerability) because(id string, groups map[string][]string) string {
	about := func(n *csafNote) bool {
		if slices.Contains(n.Products, id) {
			return true
		}
		return slices.ContainsFunc(n.Groups, func(g string) bool { return slices.Contains(groups[g], id) })
	}
	var words []string
	for i := range v.Flags {
		if about(&v.Flags[i]) {
			words = append(words, v.Flags[i].Label)
		}
	}
	for i := range v.Threats {
		if t := &v.Threats[i]; t.Category == "impact" && (about(t) || len(t.Products) == 0 && len(t.Groups) == 0) {
			words = append(words, t.Details)
		}
	}
	return strings.Join(nonEmpty(words...), ", ")
}
