//! Adds Go's rules that the parser does not know to the parsed template.
//!
//! A chain of fields becomes a call of [`functions::FIELD`] with its position, each command's
//! result passes [`functions::SHORT`], and what an action prints passes [`functions::SHOW`].
//! Functions and variables must be known before anything runs.

use gotmpl::parse::{
    BranchNode, CommandNode, DefineNode, Expr, ListNode, Node, Number, PipeNode, Pos, SmolStr,
};

use super::{GoTemplateError, MAIN_TEMPLATE, functions, line_and_column};

/// Returns the templates by name, [`MAIN_TEMPLATE`] first. Functions of `also` may be called, too.
pub(super) fn rewrite_templates(
    text: &str,
    main: ListNode,
    named: Vec<DefineNode>,
    also: &[&str],
) -> Result<Vec<(SmolStr, ListNode)>, GoTemplateError> {
    let mut names: Vec<SmolStr> = Vec::new();
    for define in &named {
        if names.contains(&define.name) {
            let message = format!("template {:?} is defined twice", define.name);
            return Err(error_at(text, define.pos, message));
        }
        names.push(define.name.clone());
    }
    let bodies = named.into_iter().map(|define| (define.name, define.body));
    let mut trees = vec![(SmolStr::new_static(MAIN_TEMPLATE), main)];
    trees.extend(bodies);
    for (name, tree) in &mut trees {
        let mut rewriter = TemplateRewriter {
            text,
            also,
            templates: (*name == MAIN_TEMPLATE).then_some(&names),
            variables: vec![SmolStr::new_static("$")],
        };
        rewriter.rewrite_list(tree)?;
    }
    Ok(trees)
}

struct TemplateRewriter<'a> {
    text: &'a str,
    also: &'a [&'a str],
    /// Templates that may be called here: none in a named template, so that calls cannot
    /// multiply.
    templates: Option<&'a [SmolStr]>,
    /// Variables in scope; the innermost last.
    variables: Vec<SmolStr>,
}

impl TemplateRewriter<'_> {
    fn rewrite_list(&mut self, list: &mut ListNode) -> Result<(), GoTemplateError> {
        list.nodes
            .iter_mut()
            .try_for_each(|node| self.rewrite_node(node))
    }

    fn rewrite_node(&mut self, node: &mut Node) -> Result<(), GoTemplateError> {
        match node {
            Node::List(list) => self.rewrite_list(list),
            Node::Action(action) => {
                self.rewrite_pipe(&mut action.pipe)?;
                if action.pipe.decl.is_empty() {
                    let show = build_call(action.pos, functions::SHOW, vec![]);
                    action.pipe.commands.push(show);
                }
                Ok(())
            }
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => {
                self.rewrite_branch(branch)
            }
            Node::Template(template) => {
                let known = self
                    .templates
                    .is_some_and(|names| names.contains(&template.name));
                if !known {
                    let why = match self.templates {
                        Some(_) => "is not defined",
                        None => "is called from another one, which is not supported",
                    };
                    let message = format!("template {:?} {why}", template.name);
                    return Err(error_at(self.text, template.pos, message));
                }
                template
                    .pipe
                    .as_mut()
                    .map_or(Ok(()), |pipe| self.rewrite_pipe(pipe))
            }
            Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    fn rewrite_branch(&mut self, branch: &mut BranchNode) -> Result<(), GoTemplateError> {
        let outer = self.variables.len();
        self.rewrite_pipe(&mut branch.pipe)?;
        let inner = self.variables.len();
        self.rewrite_list(&mut branch.body)?;
        self.variables.truncate(inner);
        if let Some(other) = &mut branch.else_body {
            self.rewrite_list(other)?;
        }
        self.variables.truncate(outer);
        Ok(())
    }

    fn rewrite_pipe(&mut self, pipe: &mut PipeNode) -> Result<(), GoTemplateError> {
        if pipe.is_assign {
            pipe.decl
                .iter()
                .try_for_each(|name| self.check_variable(pipe.pos, name))?;
        }
        for mut command in std::mem::take(&mut pipe.commands) {
            let pos = command.pos;
            for argument in &mut command.args {
                self.rewrite_expr(argument)?;
            }
            pipe.commands.push(command);
            pipe.commands
                .push(build_call(pos, functions::SHORT, vec![]));
        }
        if !pipe.is_assign {
            self.variables.extend(pipe.decl.iter().cloned());
        }
        Ok(())
    }

    fn rewrite_expr(&mut self, expr: &mut Expr) -> Result<(), GoTemplateError> {
        match expr {
            Expr::Field(pos, fields) => {
                *expr = build_field_call(self.text, *pos, Expr::Dot(*pos), fields);
                Ok(())
            }
            Expr::Variable(pos, name, fields) => {
                self.check_variable(*pos, name)?;
                if !fields.is_empty() {
                    let variable = Expr::Variable(*pos, name.clone(), Vec::new());
                    *expr = build_field_call(self.text, *pos, variable, fields);
                }
                Ok(())
            }
            Expr::Chain(pos, inner, fields) => {
                self.rewrite_expr(inner)?;
                let inner = std::mem::replace(inner.as_mut(), Expr::Dot(*pos));
                *expr = build_field_call(self.text, *pos, inner, fields);
                Ok(())
            }
            Expr::Pipe(_, pipe) => {
                let outer = self.variables.len();
                self.rewrite_pipe(pipe)?;
                self.variables.truncate(outer);
                Ok(())
            }
            Expr::Identifier(pos, name)
                if !functions::GO_FUNCTIONS.contains(&name.as_str())
                    && !self.also.contains(&name.as_str()) =>
            {
                let message = format!("function {:?} is not defined", name.as_str());
                Err(error_at(self.text, *pos, message))
            }
            _ => Ok(()),
        }
    }

    fn check_variable(&self, pos: Pos, name: &SmolStr) -> Result<(), GoTemplateError> {
        if self.variables.contains(name) {
            return Ok(());
        }
        let message = format!("variable {:?} is not defined", name.as_str());
        Err(error_at(self.text, pos, message))
    }
}

/// Builds a call for `receiver.a.b` that contains its position.
fn build_field_call(text: &str, pos: Pos, receiver: Expr, fields: &[SmolStr]) -> Expr {
    let (line, column) = line_and_column(text, pos.offset);
    let number = |number: usize| Expr::Number(pos, Number::Int(number as i64));
    let mut arguments = vec![number(line), number(column), receiver];
    arguments.extend(
        fields
            .iter()
            .map(|name| Expr::String(pos, name.as_str().into())),
    );
    let pipe = PipeNode {
        pos,
        decl: Vec::new(),
        commands: vec![build_call(pos, functions::FIELD, arguments)],
        is_assign: false,
    };
    Expr::Pipe(pos, pipe)
}

fn build_call(pos: Pos, function: &'static str, arguments: Vec<Expr>) -> CommandNode {
    let mut args = vec![Expr::Identifier(pos, SmolStr::new_static(function))];
    args.extend(arguments);
    CommandNode { pos, args }
}

fn error_at(text: &str, pos: Pos, message: String) -> GoTemplateError {
    let (line, column) = line_and_column(text, pos.offset);
    GoTemplateError {
        line,
        column,
        message,
    }
}
